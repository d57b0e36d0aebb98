"""What a prediction costs beside the network itself, with the embedded model.

One photograph of 480x360 in memory: the bare network (coarse logits of a prepared tensor), the
`Segmenter` (preprocessing, network, full-size labels), and the same with the memory layout that
torch takes by default.
"""

import numpy as np
import torch

from atrous.predict import Segmenter
from atrous.weights import load_model
from benchmarks.interleaved import compare, publish


def main() -> None:
    """Time the ways in turn, and publish the table."""
    photo = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)
    segmenter = Segmenter("camvid-lite0", device="cpu")
    model = segmenter.model
    pixels = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0)
    plain = load_model("camvid-lite0")

    @torch.inference_mode()
    def bare() -> None:
        model.coarse_logits(model.preprocessing(pixels))

    @torch.inference_mode()
    def bare_contiguous() -> None:
        plain.coarse_logits(plain.preprocessing(pixels.contiguous()))

    ways = {
        "Segmenter": lambda: segmenter(photo),
        "network alone": bare,
        "network alone, channels first": bare_contiguous,
    }
    title = "prediction of camvid-lite0, one photograph of 480 x 360"
    publish("prediction", title, compare(ways, rounds=30))


if __name__ == "__main__":
    main()
