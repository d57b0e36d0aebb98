"""A training step of atrous beside a plain torch loop over segmentation_models_pytorch.

DeepLab v3+ on ResNet-50, separable, output stride 16, 11 classes, 4 images of 256x256: forward,
loss on full-size labels, backward, AdamW. The same work in both, on the CPU; atrous as
`atrous train` lays it out (channels_last), in float32, and in the format of `precision: auto`.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous train` does

from collections.abc import Callable

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional as F

from atrous.losses import upsampled_cross_entropy
from atrous.models import create_model
from atrous.train.precision import has_fast_bf16, spare_slow_convolutions
from benchmarks.interleaved import compare, publish

_CPU = torch.device("cpu")
_SIZE = (4, 256, 256)


def _plain() -> Callable[[], None]:
    """The loop that one writes first: the library's defaults, contiguous, float32."""
    model = smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=11).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch, height, width = _SIZE
    images, labels = torch.randn(batch, 3, height, width), torch.randint(0, 11, _SIZE)

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _ours(*, bf16: bool) -> Callable[[], None]:
    model: nn.Module = create_model(
        "deeplabv3plus", backbone="resnet50", num_classes=11, separable=True, rates=(12, 24, 36)
    )
    model.train().to(memory_format=torch.channels_last)
    if bf16:
        spare_slow_convolutions(model, _CPU)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch, height, width = _SIZE
    images = torch.randn(batch, 3, height, width).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 11, _SIZE, dtype=torch.uint8)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model.coarse_logits(images)
        upsampled_cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    """Time the ways in turn, and publish the table."""
    torch.manual_seed(0)
    ways = {"segmentation_models_pytorch": _plain(), "atrous, float32": _ours(bf16=False)}
    if has_fast_bf16(_CPU):
        ways["atrous, bfloat16"] = _ours(bf16=True)
    title = "training step of DeepLab v3+ on ResNet-50, 4 x 256 x 256"
    publish("training_against_smp", title, compare(ways, rounds=7))


if __name__ == "__main__":
    main()
