"""What number formats cost in a training step of the embedded model, on the CPU.

The recipe's batch (8 frames of 360x480), forward, loss and backward: in float32 and in bfloat16
autocast, with torch's gradients of depthwise convolutions and with those of
`atrous.kernels.depthwise_conv`, which `atrous train` takes. It keeps the memory that a step frees
besides, as all of this process does.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous train` does

from collections.abc import Callable

import torch

from atrous.losses import upsampled_cross_entropy
from atrous.models import SegmentationModel, create_model
from atrous.recipe import load_recipe
from atrous.train.memory import keep_freed_memory
from atrous.train.precision import speed_up_depthwise
from benchmarks.interleaved import compare, publish

_CPU = torch.device("cpu")


def _model(*, fast: bool) -> SegmentationModel:
    settings = load_recipe("camvid-lite0").model.model_dump(exclude={"pretrained_backbone"})
    model = create_model(settings.pop("architecture"), num_classes=11, **settings).train()
    model.to(memory_format=torch.channels_last)
    if fast:
        speed_up_depthwise(model, _CPU)
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
    keep_freed_memory()
    ways = {
        f"{name}, {gradients}": _step(_model(fast=fast), bf16=bf16)
        for name, bf16 in (("float32", False), ("bfloat16", True))
        for gradients, fast in (("torch's gradients", False), ("ours", True))
    }
    title = "training step of camvid-lite0, 8 x 360 x 480"
    publish("training_step", title, compare(ways, rounds=5))


if __name__ == "__main__":
    main()
