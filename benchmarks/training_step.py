"""What number formats cost in a training step of the embedded model, on the CPU.

The recipe's batch (8 frames of 360x480), forward, loss and backward: in float32, in bfloat16
autocast, and in bfloat16 autocast with the slow depthwise convolutions kept in float32, which is
what `atrous train` does where the processor has bfloat16 matrix units.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous train` does

from collections.abc import Callable

import torch

from atrous.losses import upsampled_cross_entropy
from atrous.models import SegmentationModel, create_model
from atrous.recipe import load_recipe
from atrous.train.precision import spare_slow_convolutions
from benchmarks.interleaved import compare, publish

_CPU = torch.device("cpu")


def _model(*, spared: bool, separable: bool = False) -> SegmentationModel:
    settings = load_recipe("camvid-lite0").model.model_dump(exclude={"pretrained_backbone"})
    settings["separable"] = separable
    model = create_model(settings.pop("architecture"), num_classes=11, **settings).train()
    model.to(memory_format=torch.channels_last)
    if spared:
        spare_slow_convolutions(model, _CPU)
    return model


def _step(model: SegmentationModel, *, bf16: bool) -> Callable[[], None]:
    images = torch.randn(8, 3, 360, 480).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 11, (8, 360, 480), dtype=torch.uint8)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model.coarse_logits(images)
        upsampled_cross_entropy(logits, labels).backward()

    return step


def main() -> None:
    """Time the ways in turn, and publish the table."""
    torch.manual_seed(0)
    ways = {
        "float32": _step(_model(spared=False), bf16=False),
        "bfloat16": _step(_model(spared=False), bf16=True),
        "bfloat16, slow depthwise spared": _step(_model(spared=True), bf16=True),
        "bfloat16, spared, separable pyramid": _step(
            _model(spared=True, separable=True), bf16=True
        ),
    }
    title = "training step of camvid-lite0, 8 x 360 x 480"
    publish("training_step", title, compare(ways, rounds=5))


if __name__ == "__main__":
    main()
