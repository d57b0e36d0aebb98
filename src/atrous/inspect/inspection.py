"""Everything that is known of a network on one size of image, measured once for all outputs."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from atrous.inspect.branch_table import BranchTable, branch_table
from atrous.inspect.effective_field import effective_fields, noise, side_holding
from atrous.inspect.output_strides import StrideRow, stride_rows
from atrous.inspect.photograph import PhotoView, view_photo
from atrous.inspect.table import LayerTable, layer_table
from atrous.models import SegmentationModel
from atrous.nn import DeadTapsWarning


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found.

    Attributes:
        title: What was looked at, in one or more lines.
        network: The model or module itself.
        table: Its layers, and their sums.
        branches: Those of its pyramid; None where it has none.
        strides: What it costs at other output strides; none for a module.
        fields: Effective receptive fields (H, W) by the name of the branch, where measured.
        photo: What it makes of a photograph, where one was given.
    """

    title: str
    network: nn.Module
    table: LayerTable
    branches: BranchTable | None
    strides: tuple[StrideRow, ...] = ()
    fields: Mapping[str, Tensor] = field(default_factory=dict)
    photo: PhotoView | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it: the numbers, without the maps."""
        content = self.table.to_json() | {
            "branches": asdict(self.branches) if self.branches else None,
            "output_strides": [asdict(row) for row in self.strides],
        }
        if self.photo is not None:
            content["photo"] = {
                "shares": self.photo.result.shares(),
                "mean_confidence": float(self.photo.confidence.mean()),
                "changed_without": {one.name: one.changed for one in self.photo.contributions},
            }
        return content


def inspect_network(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    title: str = "",
    measure: bool = False,
    photo: np.ndarray | None = None,
) -> Inspection:
    """Look at a network; it stays as it is.

    Args:
        network: A model, or a pyramid by itself.
        input_shape: (B, C, H, W) of what it is given: pixels for a model, cells for a pyramid.
        title: What it is called.
        measure: Whether to measure effective receptive fields, which takes a pass forward and one
            back for each branch; only of a model.
        photo: (H, W, 3) uint8 RGB to look at through a model; the fields are measured on it.

    Raises:
        ValueError: The network does not take an input of this shape.

    Example:
        >>> from atrous.nn import ASPP
        >>> found = inspect_network(ASPP(8, 4, rates=(6, 12)), (1, 8, 33, 33))
        >>> found.branches.warning, found.branches.whole_side
        ('', 25)
    """
    table = layer_table(network, input_shape)
    strides: tuple[StrideRow, ...] = ()
    view, fields = None, {}
    if isinstance(network, SegmentationModel):
        strides = stride_rows(network, input_shape)
        if measure or photo is not None:
            view, fields = _measured(network, input_shape, photo)
    sides = {name: side_holding(heat) for name, heat in fields.items()}
    found = branch_table(network, input_shape, effective=sides)
    return Inspection(title, network, table, found, strides, fields, view)


def _measured(
    model: SegmentationModel, input_shape: tuple[int, ...], photo: np.ndarray | None
) -> tuple[PhotoView | None, Mapping[str, Tensor]]:
    """Return what a copy of a model makes of a photograph, and fields on that or on noise."""
    model = copy.deepcopy(model)  # which has then said its word on dead taps, and the model not
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadTapsWarning)  # the branches tell it in numbers
        if photo is not None:
            view = view_photo(model, photo)
            return view, view.fields
        height, width = input_shape[-2:]
        return None, effective_fields(model, noise(model, (height, width)))
