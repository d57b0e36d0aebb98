"""The ways of atrous: pictures in, label maps out, by each of its engines.

Axes: B pictures, H rows, W columns; K classes; h, w of the map that is classified.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from atrous.export.quantize import EightBitEngine
from atrous.fast.engines import ENGINES, Engine, open_engine
from atrous.models import SegmentationModel

_CALIBRATED = {"openvino": ("int8",)}  # what engines can be made to compute in, given pictures

Labels = Callable[[np.ndarray], Tensor]
Logits = Callable[[np.ndarray], Tensor]


class Opened(NamedTuple):
    """Something that computes one network.

    Attributes:
        labels: Returns label maps (B, H, W) for pictures (B, H, W, 3) uint8 RGB.
        logits: Returns logits (B, K, h, w), or (B, K, H, W), for them; None where only labels come
            out.
    """

    labels: Labels
    logits: Logits | None


@dataclass(frozen=True)
class Way:
    """A way of computing a network, not opened yet.

    Attributes:
        name: What it is called.
        precision: What it computes in: `fp32`, `bf16` or `int8`.
        open: Returns it opened for a network and pictures of the size that will come; what that
            raises is why it is skipped.
    """

    name: str
    precision: str
    open: Callable[[SegmentationModel, np.ndarray], Opened]


def precisions_of(engine: str) -> tuple[str, ...]:
    """Return what an engine computes in, or can be made to by calibration.

    Example:
        >>> precisions_of("torch"), precisions_of("openvino")
        (('fp32',), ('fp32', 'bf16', 'int8'))
    """
    return ENGINES[engine][0] + _CALIBRATED.get(engine, ())


def own_ways(engines: Iterable[str], precisions: Iterable[str]) -> list[Way]:
    """Return the engines of atrous in each of the precisions that they compute in.

    Example:
        >>> [way.name for way in own_ways(["torch", "optimized"], ["fp32", "bf16"])]
        ['atrous torch fp32', 'atrous optimized fp32', 'atrous optimized bf16']
    """
    precisions = tuple(precisions)
    return [
        Way(f"atrous {engine} {precision}", precision, partial(_open, engine, precision))
        for engine in engines
        for precision in precisions
        if precision in precisions_of(engine)
    ]


def _open(engine: str, precision: str, model: SegmentationModel, pictures: np.ndarray) -> Opened:
    if precision in _CALIBRATED.get(engine, ()):
        computing: Engine = EightBitEngine(model, list(pictures))
    else:
        computing = open_engine(engine, model, device=torch.device("cpu"), precision=precision)

    def logits(pictures: np.ndarray) -> Tensor:
        return computing(torch.from_numpy(pictures))

    def labels(pictures: np.ndarray) -> Tensor:
        size, align_corners = pictures.shape[1:3], model.blueprint.conventions.align_corners
        return _painted(logits(pictures), size, align_corners=align_corners)

    return Opened(labels, logits)


def _painted(logits: Tensor, size: Sequence[int], *, align_corners: bool) -> Tensor:
    """Return label maps (B, H, W) as prediction makes them in the midst of a folder."""
    from atrous.kernels.label_map_cpu import paint_label_map

    dtype = torch.uint8 if logits.shape[1] <= 255 else torch.int32
    labels = torch.empty((len(logits), *size), dtype=dtype)
    paint_label_map(logits, labels, align_corners=align_corners)
    return labels
