"""What a prediction costs beside the network itself, with the embedded model.

One photograph of 480x360 in memory: the `Segmenter` (preprocessing, network, full-size labels) with
the optimized network and with the plain one, and the bare plain network (coarse logits of a
prepared tensor) in both memory layouts.
"""

import numpy as np
import torch

from atrous.predict import Segmenter
from atrous.weights import load_model
from benchmarks.interleaved import compare, publish


def main() -> None:
    """Time the ways in turn, and publish the table."""
    photo = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)
    optimized = Segmenter("camvid-lite0", device="cpu", engine="optimized")
    plain = Segmenter("camvid-lite0", device="cpu", engine="torch")
    channels_first = load_model("camvid-lite0")
    channels_last = load_model("camvid-lite0").to(memory_format=torch.channels_last)
    pixels = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0)

    @torch.inference_mode()
    def bare() -> None:
        channels_last.coarse_logits(channels_last.preprocessing(pixels))

    @torch.inference_mode()
    def bare_contiguous() -> None:
        channels_first.coarse_logits(channels_first.preprocessing(pixels.contiguous()))

    ways = {
        "Segmenter, plain network": lambda: plain(photo),
        "Segmenter": lambda: optimized(photo),
        "plain network alone": bare,
        "plain network alone, channels first": bare_contiguous,
    }
    title = "prediction of camvid-lite0, one photograph of 480 x 360"
    publish("prediction", title, compare(ways, rounds=30))


if __name__ == "__main__":
    main()
