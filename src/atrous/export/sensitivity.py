"""What each convolution costs in 8 bits when all others stay in float.

Measured in torch, by rounding what a convolution reads and its weights as an engine would; so one
measure holds for every engine, and needs none of them. Small errors add up like squares, so what
layers cost alone tells well enough which of them to spare.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from atrous.fast.rewriting import optimize
from atrous.models import SegmentationModel

_IMAGES = 4
_SIDE = 513  # pixels; larger images are measured by their middle
_STEPS = 255  # between the least and the largest of 8-bit numbers

Range = tuple[Tensor, Tensor]


@torch.inference_mode()
def sensitivities(model: SegmentationModel, images: Sequence[np.ndarray]) -> dict[str, float]:
    """Return how far 8 bits in one convolution move the logits, the worst first.

    Args:
        model: A network on the CPU.
        images: (H, W, C) uint8 like those to come; a few of them are looked at.

    Returns:
        By the name of the convolution: the mean square of what its rounding changes in the logits,
        as a fraction of their variance.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("lraspp", backbone="resnet18", num_classes=2)
        >>> images = [np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)]
        >>> "backbone.network.conv1" in sensitivities(model, images)
        True
    """
    fast = optimize(model)
    inputs = [fast.normalized(torch.tensor(_middle(image))[None]) for image in _few(images)]
    convs = {
        name: module
        for name, module in fast.network.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    ranges: dict[str, Range] = {}
    with ExitStack() as stack:
        for name, conv in convs.items():
            stack.enter_context(_noting(conv, name, ranges))
        expected = [fast.coarse_logits(x) for x in inputs]
    found = {}
    for name, limits in ranges.items():
        with _in_8_bits(convs[name], limits):
            changes = [
                (fast.coarse_logits(x) - logits).square().mean().item() / logits.var().item()
                for x, logits in zip(inputs, expected, strict=True)
            ]
        found[name] = sum(changes) / len(changes)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _few(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return some of the images, evenly spread."""
    count = min(_IMAGES, len(images))
    return [images[number * len(images) // count] for number in range(count)]


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(0, side - _SIDE) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE])


@contextmanager
def _noting(conv: nn.Conv2d, name: str, ranges: dict[str, Range]) -> Iterator[None]:
    """Note between which values lies all that a convolution reads."""

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        least, largest = inputs[0].aminmax()
        low, high = ranges.get(name, (least, largest))
        ranges[name] = torch.minimum(low, least), torch.maximum(high, largest)

    handle = conv.register_forward_pre_hook(note)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _in_8_bits(conv: nn.Conv2d, limits: Range) -> Iterator[None]:
    """Let a convolution read a map of 256 values, and multiply weights of 255 in each channel."""
    low, high = limits
    step = ((high - low) / _STEPS).clamp(min=1e-12)

    def round_map(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return ((inputs[0] / step).round() * step, *inputs[1:])

    weight = conv.weight
    scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12) / (_STEPS // 2)
    handle = conv.register_forward_pre_hook(round_map)
    conv.weight = nn.Parameter((weight / scale).round() * scale, requires_grad=False)
    try:
        yield
    finally:
        conv.weight = weight
        handle.remove()
