"""Whether a converted network computes what the network that its weights are from does.

Both are given the same two images, of fixed noise. They agree when no logit differs by more than
1e-4 of the largest: float32 has 24 bits, and some hundred layers added in another order leave
about 1e-6, while a wrong setting leaves a hundred times the limit or more.
"""

import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import SegmentationModel
from atrous.nn.pyramid import DeadTapsWarning

TOLERANCE = 1e-4
# One with odd sides, for libraries that take them; and one so wide that at an output stride of 16
# the taps of rate 36 are inside the map, as another rate would go unnoticed where they are not.
_SIZES = ((129, 97), (64, 640))
_MULTIPLE = 32


@dataclass(frozen=True)
class Agreement:
    """How far two networks' logits were apart.

    Attributes:
        against: The network that ours was compared with.
        sizes: Rows and columns of the images.
        difference: The largest between two logits.
        largest: The largest logit of the other network, by its size.
        same_class: Share of the pixels where both give the same class.
    """

    against: str
    sizes: tuple[tuple[int, int], ...]
    difference: float
    largest: float
    same_class: float

    @property
    def holds(self) -> bool:
        """Whether the networks compute the same, up to rounding."""
        return self.difference <= TOLERANCE * self.largest

    def __str__(self) -> str:
        """Return what was compared, and the figures."""
        sizes = " and ".join(f"{height} x {width}" for height, width in self.sizes)
        return f"checked against {self.against} on images of {sizes}: {self.figures}"

    @property
    def figures(self) -> str:
        """How far apart they were, in words."""
        percent = math.floor(1e6 * self.same_class) / 1e4  # 100 only where it is all
        return (
            f"logits of up to {self.largest:.3g} differ by {self.difference:.1e} at most, "
            f"{percent:g} % of the pixels have the same class"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as what JSON can hold."""
        return asdict(self)


def compare(model: SegmentationModel, other: nn.Module, *, against: str, source: str) -> Agreement:
    """Run both networks on two images.

    Args:
        model: Ours, in eval mode.
        other: The library's, in eval mode and float32 on the CPU.
        against: What to call it.
        source: What the weights were read from, for the message.

    Raises:
        DataError: It cannot be run on an image, or the networks do not compute the same.
    """
    generator = torch.Generator().manual_seed(0)
    pairs, sizes = [], []
    for size in _SIZES:
        image = torch.randn(1, model.blueprint.in_channels, *size, generator=generator)
        image, theirs = _run(other, image)
        ours = _read(model, image, coarse=theirs.shape[-2:] != image.shape[-2:])
        if ours.shape != theirs.shape:
            raise DataError(
                f"{source}: {against} gives {tuple(theirs.shape)} for an image of "
                f"{tuple(image.shape)}, the converted model {tuple(ours.shape)}"
            )
        pairs.append((ours, theirs))
        sizes.append(tuple(image.shape[-2:]))
    agreement = _measure(pairs, against, tuple(sizes))
    if not agreement.holds:
        raise DataError(
            f"{source}: the converted model computes something else: {agreement.figures}; if its "
            "rates or output stride are not the library's defaults, give them"
        )
    return agreement


@torch.no_grad()
def _run(other: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image, padded if the network takes only certain sizes, and the logits for it."""
    try:
        return image, _logits(other(image))
    except (RuntimeError, ValueError):
        below, right = (-side % _MULTIPLE for side in image.shape[-2:])
        image = F.pad(image, (0, right, 0, below))
        return image, _logits(other(image))


@torch.no_grad()
def _read(model: SegmentationModel, image: Tensor, *, coarse: bool) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadTapsWarning)  # the images are small on purpose
        return model.coarse_logits(image) if coarse else model(image)


def _logits(output: Any) -> Tensor:
    """Return the logits of a tensor, a tuple, torchvision's dict, or what transformers returns."""
    if isinstance(output, dict) and "out" in output:
        return output["out"]
    if isinstance(output, tuple):  # of segmentation_models_pytorch with a classifier of images
        return output[0]
    logits: Any = getattr(output, "logits", output)
    return logits


@torch.no_grad()
def _measure(
    pairs: list[tuple[Tensor, Tensor]], against: str, sizes: tuple[tuple[int, int], ...]
) -> Agreement:
    ours = torch.cat([mine.flatten(2) for mine, _ in pairs], dim=2)
    theirs = torch.cat([other.flatten(2) for _, other in pairs], dim=2)
    return Agreement(
        against,
        sizes,
        difference=(ours - theirs).abs().max().item(),
        largest=theirs.abs().max().item(),
        same_class=(ours.argmax(1) == theirs.argmax(1)).double().mean().item(),
    )
