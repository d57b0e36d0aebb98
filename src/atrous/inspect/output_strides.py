"""What a network costs at denser and coarser maps: the same weights at output strides 8, 16, 32."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atrous.errors import UsageError
from atrous.inspect.one_scale import one_scale
from atrous.inspect.table import layer_table
from atrous.models import SegmentationModel


@dataclass(frozen=True)
class StrideRow:
    """A network at one output stride.

    Attributes:
        output_stride: Image pixels per cell of the deepest map.
        rates: Those of its pyramid there.
        multiply_adds: Of one image.
        megabytes: Memory of all outputs of its layers in float32, in MB of 2**20 bytes.
        useful: Smallest share of useful taps of its rates, at the image's own size; None where it
            has no rates.
    """

    output_stride: int
    rates: tuple[Any, ...]
    multiply_adds: int
    megabytes: float
    useful: float | None


def stride_rows(
    model: SegmentationModel, input_shape: tuple[int, ...], strides: Sequence[int] = (8, 16, 32)
) -> tuple[StrideRow, ...]:
    """Return what a model, which stays as it is, costs at each output stride that it can have.

    Args:
        model: The network.
        input_shape: Shape of the images, the batch first.
        strides: The output strides to try.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> [row.rates for row in stride_rows(model, (1, 3, 65, 65))]
        [(12, 24, 36), (6, 12, 18), (3, 6, 9)]
    """
    shadow = copy.deepcopy(model).to("meta")
    rows = []
    for stride in strides:
        try:
            shadow.set_output_stride(stride)
        except UsageError:  # its backbone cannot be held there
            continue
        table = layer_table(shadow, input_shape)
        alone = one_scale(shadow)
        taps = (table if alone is shadow else layer_table(alone, input_shape)).tap_rows
        shares = [row.useful / row.taps for row in taps]
        megabytes = sum(row.megabytes for row in table.rows)
        useful = min(shares, default=None)
        rows.append(StrideRow(stride, shadow.rates, table.multiply_adds, megabytes, useful))
    return tuple(rows)
