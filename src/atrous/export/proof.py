"""Whether an exported network computes what the network that it was made from does.

Both are given the same images of noise, of twelve shapes: odd, tiny, long, and several at once.

Axes: B images, H rows, W columns, C channels; K classes; h, w of the map that is classified.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.export.graphs import Rates, Run
from atrous.fast.engines.torch_engine import eval_mode
from atrous.fast.program import least_side
from atrous.models import SegmentationModel
from atrous.nn.pyramid import DeadTapsWarning

SHAPES = (
    *((1, 65, 65), (1, 97, 129), (2, 64, 96), (3, 33, 47), (1, 128, 31), (1, 17, 300)),
    *((1, 1, 1), (2, 5, 3), (1, 1, 77), (1, 161, 223), (2, 49, 200), (1, 240, 320)),
)
"""(B, H, W) of the images."""

LARGEST_DIFFERENCE = 1e-4  # of the largest logit; in float32 rounding leaves some 1e-6
# Noise is harder than photographs: classes lie close to one another everywhere.
LEAST_EQUAL = {"fp32": 0.999, "fp16": 0.97, "bf16": 0.9, "int8": 0.7}
"""The share of equal labels below which an export is refused."""


class NotTheSameError(DataError):
    """An export computes something else than its network."""


@dataclass(frozen=True)
class Proof:
    """How far an export and its source were apart.

    Attributes:
        precision: What the export computes in.
        shapes: (B, H, W) of the images.
        difference: The largest between two logits; of labels, the most that the logit of the one
            given lies below the best.
        largest: The largest logit of the source, by its size.
        equal_labels: Share of the pixels with the same class.
        rates: (rows, columns) between the taps of its kernels; each occurs as often as in the
            source.
    """

    precision: str
    shapes: tuple[tuple[int, int, int], ...]
    difference: float
    largest: float
    equal_labels: float
    rates: tuple[tuple[int, int], ...]

    @property
    def relative(self) -> float:
        """The largest difference as a fraction of the largest logit."""
        return self.difference / self.largest if self.largest else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the figures as what JSON can hold."""
        return asdict(self)


def prove(
    model: SegmentationModel,
    run: Run,
    *,
    outputs: str,
    precision: str,
    rates: tuple[Rates, Rates],
) -> Proof:
    """Run a network and its export on images of twelve shapes, and compare.

    Args:
        model: The network, on the CPU.
        run: The export.
        outputs: `logits`, `coarse_logits` or `labels`, as it gives them.
        precision: What it computes in.
        rates: Those of the network's kernels, and those of the export's.

    Raises:
        NotTheSameError: They do not compute the same.
    """
    ours, theirs = rates
    if ours != theirs:
        raise NotTheSameError(
            f"the export lost rates of the network: kernels with the rates {_listed(ours)} became "
            f"kernels with {_listed(theirs)}"
        )
    differences, tops, equal, pixels = [], [], 0, 0
    for images, expected in _examples(model, outputs):
        got = torch.from_numpy(run(images.numpy()))
        labels = got if outputs == "labels" else got.argmax(1)
        _check_shape(images, labels.shape, (len(images), *expected.shape[-2:]))
        differences.append(_difference(expected, got, is_labels=outputs == "labels"))
        tops.append(expected.abs().max().item())
        equal += int((labels.long() == expected.argmax(1)).sum())
        pixels += labels.numel()
    difference = math.nan if any(map(math.isnan, differences)) else max(differences)
    figures = difference, max(tops), equal / pixels
    proof = Proof(precision, _shapes(model), *figures, rates=tuple(sorted(theirs)))
    _check(proof)
    return proof


def _shapes(model: SegmentationModel) -> tuple[tuple[int, int, int], ...]:
    """Return `SHAPES`, no side smaller than an export of the network takes it."""
    least = least_side(model)
    return tuple((batch, max(height, least), max(width, least)) for batch, height, width in SHAPES)


@torch.inference_mode()
def _examples(model: SegmentationModel, outputs: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images (B, H, W, C) and the network's logits for them."""
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in _shapes(model):
        # Squares of 8 pixels under the noise: a network sees more than one class then.
        squares = torch.rand(
            batch, model.blueprint.in_channels, -(-height // 8), -(-width // 8), generator=generator
        )
        noise = torch.rand(batch, model.blueprint.in_channels, height, width, generator=generator)
        blocks = F.interpolate(squares, scale_factor=8.0)[..., :height, :width]
        images = (170 * blocks + 85 * noise).byte()
        with warnings.catch_warnings(), eval_mode(model):
            warnings.simplefilter("ignore", DeadTapsWarning)  # the images are small on purpose
            read = model.coarse_logits if outputs == "coarse_logits" else model
            yield images.permute(0, 2, 3, 1).contiguous(), read(model.preprocessing(images))


def _difference(expected: Tensor, got: Tensor, *, is_labels: bool) -> float:
    if not is_labels:
        return (expected - got).abs().max().item()
    chosen = expected.gather(1, got.long().unsqueeze(1)).squeeze(1)
    return (expected.amax(1) - chosen).max().item()


def _check_shape(images: Tensor, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(got) != expected:
        raise NotTheSameError(
            f"the export gives {tuple(got)} labels for images of {tuple(images.shape)}, "
            f"the network {expected}"
        )


def _check(proof: Proof) -> None:
    least = LEAST_EQUAL[proof.precision]
    far = proof.precision == "fp32" and not proof.relative <= LARGEST_DIFFERENCE
    if far or math.isnan(proof.difference) or proof.equal_labels < least:
        raise NotTheSameError(
            f"the export computes something else: logits of up to {proof.largest:.3g} differ by "
            f"{proof.difference:.1e}, {100 * proof.equal_labels:.2f} % of the labels are equal; "
            f"{proof.precision} needs {100 * least:g} %"
            + (f" and {LARGEST_DIFFERENCE:g} of the largest logit" if far else "")
        )


def _listed(rates: Rates) -> str:
    return ", ".join(f"{count} of {a}x{b}" for (a, b), count in sorted(rates.items())) or "none"
