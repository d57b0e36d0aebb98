"""What each branch of a pyramid can see on a map of a size, and what to do where that is little.

Papers: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.3 (rates that
reach beyond the map leave the centre tap); Luo et al. 2017, arXiv:1701.04128 (effective fields).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from atrous.inspect.branches import Branch, branches, name_of_rate
from atrous.inspect.one_scale import one_scale
from atrous.inspect.receptive_field import Field, receptive_fields
from atrous.nn import Pyramid
from atrous.nn.geometry import rates_for, useful_taps

_FEWEST = 1 / 3  # share of useful taps below which a word is due: 3 of 9
_A_POINT = ("is a plain 1x1 convolution", "are plain 1x1 convolutions")


@dataclass(frozen=True)
class BranchRow:
    """One branch of a pyramid, on the map of one image.

    Attributes:
        name: `1x1`, `rate 6` or `image`.
        rate: Cells between its taps, along (rows, columns); None without a wide kernel.
        reach: Image pixels between its outermost taps, along (rows, columns); None likewise.
        useful: Share of its taps inside the map, in the mean over the map; None likewise, and for
            an even kernel.
        field: Theoretical receptive field in image pixels, (rows, columns).
        sees_all: Whether a mean over the map lets it see the whole image besides.
        effective: Side in image pixels of the square that holds 90 percent of the gradient; None
            where it was not measured.
    """

    name: str
    rate: tuple[int, int] | None
    reach: tuple[int, int] | None
    useful: float | None
    field: tuple[int, int]
    sees_all: bool
    effective: int | None = None

    def words(self) -> tuple[str, str, str, str, str]:
        """Return name, useful taps, reach, theoretical and effective field as they are shown."""
        return (
            self.name,
            "" if self.useful is None else f"{100 * self.useful:.1f} %",
            "" if self.reach is None else name_of_rate(self.reach),
            "whole image" if self.sees_all else name_of_rate(self.field),
            "" if self.effective is None else f"{self.effective}",
        )


@dataclass(frozen=True)
class BranchTable:
    """The branches of a pyramid, and advice on its rates.

    Attributes:
        rows: The branches.
        map_size: Rows and columns of the map that the pyramid reads.
        stride: Image pixels per cell of that map; 1 for a pyramid by itself.
        unit: What lengths count: `pixels` of the image, or `cells` for a pyramid by itself.
        warning: What is wrong with the rates on this map; empty when nothing is.
        suggested_rates: Rates that suit it; those of the pyramid when nothing is wrong.
        suited_side: Image pixels along each side from which on no rate is too wide.
        least_side: Image pixels below which the widest kernel has its centre tap only.
        whole_side: Image pixels from which on the widest kernel fits into the map as a whole.
    """

    rows: tuple[BranchRow, ...]
    map_size: tuple[int, int]
    stride: int
    unit: str
    warning: str
    suggested_rates: tuple[Any, ...]
    suited_side: int | None
    least_side: int | None
    whole_side: int | None

    @property
    def advice(self) -> str:
        """The warning, and rates that suit the map; empty when nothing is wrong."""
        if not self.warning:
            return ""
        rates = ", ".join(map(str, self.suggested_rates))
        what = "a map" if self.unit == "cells" else "images"
        return (
            f"{self.warning}; rates {rates} suit this map, or take {what} of {self.suited_side} "
            f"{self.unit} along each side"
        )

    @property
    def sizes(self) -> str:
        """Which images the rates suit; empty without a wide kernel."""
        if self.least_side is None:
            return ""
        return (
            f"Below {self.least_side} {self.unit} along a side, the widest kernel is left with its "
            f"centre; from {self.whole_side} on, it fits into the map as a whole."
        )


def branch_table(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    effective: Mapping[str, int] | None = None,
) -> BranchTable | None:
    """Return the branches of the pyramid in a network; None where it has none.

    A model that reads each image at several sizes is judged at the image's own.

    Args:
        network: A model, or a pyramid by itself, whose "image" then is its map.
        input_shape: Shape of what it is given, the batch first.
        effective: Sides of effective receptive fields, by the name of the branch.

    Raises:
        ValueError: The network does not take an input of this shape.

    Example:
        >>> from atrous.nn import ASPP
        >>> table = branch_table(ASPP(8, 4, rates=(6, 12, 18)), (1, 8, 33, 33))
        >>> [round(row.useful, 3) for row in table.rows if row.rate]
        [0.772, 0.574, 0.405]
    """
    pyramid = next((part for part in network.modules() if isinstance(part, Pyramid)), None)
    found = branches(pyramid) if pyramid is not None else ()
    if pyramid is None or not found:
        return None
    names = {part: name for name, part in network.named_modules()}
    fields = receptive_fields(one_scale(network), input_shape, [names[one.module] for one in found])
    seen = [fields[names[branch.module]] for branch in found]
    stride = round(seen[0].stride[0])
    size = _map_size(network, pyramid, input_shape)
    rows = tuple(
        replace(_row(branch, field, size, pyramid), effective=(effective or {}).get(branch.name))
        for branch, field in zip(found, seen, strict=True)
    )
    rates = [branch.rate for branch in found if branch.rate]
    taps, unit = pyramid.kernel_size - 1, max(pyramid.multi_grid)
    least = max((min(rate) * unit for rate in rates), default=None)
    whole = max((max(rate) * unit * taps for rate in rates), default=None)
    return BranchTable(
        rows,
        size,
        stride,
        "cells" if network is pyramid else "pixels",
        _warning(rows, size, pyramid),
        suggested_rates(pyramid, size),
        None if whole is None else _suited_cells(pyramid, whole) * stride + 1,
        None if least is None else least * stride + 1,
        None if whole is None else whole * stride + 1,
    )


def suggested_rates(pyramid: Pyramid, map_size: tuple[int, int]) -> tuple[Any, ...]:
    """Return the rates of a pyramid, halved until each has a third of its taps inside a map.

    Halving is what `rates_for` does from one output stride to the next coarser one.

    Example:
        >>> from atrous.nn import ASPP
        >>> suggested_rates(ASPP(8, 4, rates=(6, 12, 18)), (23, 30))
        (3, 6, 9)
    """
    rates = pyramid.rates
    while _least_useful(pyramid, rates, map_size) < _FEWEST:
        halved = rates_for(32, rates, at_stride=16)
        if halved == rates:
            break
        rates = halved
    return rates


def _suited_cells(pyramid: Pyramid, whole: int) -> int:
    """Return the cells of a side, less one, from which on each rate has a third of its taps."""
    return bisect_left(
        range(1, whole + 1),
        _FEWEST,
        key=lambda side: _least_useful(pyramid, pyramid.rates, (side, side)),
    )


def _least_useful(pyramid: Pyramid, rates: tuple[Any, ...], size: tuple[int, int]) -> float:
    return min((_useful(rate, size, pyramid) for rate in rates), default=1.0)


def _useful(rate: Any, size: tuple[int, int], pyramid: Pyramid) -> float:
    """Return the mean share of useful taps over the units of a branch; 1 for an even kernel."""
    kernel_size = pyramid.kernel_size
    if kernel_size % 2 == 0:
        return 1.0  # without a centre, it is never left with the centre alone
    rows, columns = (rate, rate) if isinstance(rate, int) else rate
    shares = [
        useful_taps((rows * unit, columns * unit), *size, kernel_size) / kernel_size**2
        for unit in pyramid.multi_grid
    ]
    return sum(shares) / len(shares)


def _row(branch: Branch, field: Field, size: tuple[int, int], pyramid: Pyramid) -> BranchRow:
    seen = math.ceil(field.rows), math.ceil(field.columns)
    if branch.rate is None:
        return BranchRow(branch.name, None, None, None, seen, field.sees_all)
    steps = (pyramid.kernel_size - 1) * max(pyramid.multi_grid)
    down, right = (round(rate * steps * field.stride[k]) for k, rate in enumerate(branch.rate))
    has_centre = pyramid.kernel_size % 2 == 1
    useful = _useful(branch.rate, size, pyramid) if has_centre else None
    return BranchRow(branch.name, branch.rate, (down, right), useful, seen, field.sees_all)


def _map_size(
    network: nn.Module, pyramid: Pyramid, input_shape: tuple[int, ...]
) -> tuple[int, int]:
    """Return rows and columns of the map that the pyramid is given."""
    height, width = input_shape[-2:]
    backbone = getattr(network, "backbone", None)
    if network is pyramid or backbone is None:
        return height, width
    stride = int(backbone.output_stride)
    return math.ceil(height / stride), math.ceil(width / stride)


def _warning(rows: tuple[BranchRow, ...], size: tuple[int, int], pyramid: Pyramid) -> str:
    """Return what is left of each branch that has less than a third of its taps."""
    taps = pyramid.kernel_size**2
    left = {row.name: taps * row.useful for row in rows if row.rate and row.useful is not None}
    points = [name for name, useful in left.items() if useful < 1 + 1e-9]
    words = [f"{_listed(points)} {_A_POINT[len(points) > 1]}"] if points else []
    words += [
        f"{name} has {useful:.2f} of its {taps} taps inside"
        for name, useful in left.items()
        if name not in points and useful < _FEWEST * taps
    ]
    return f"on a map of {size[0]}x{size[1]} cells {_listed(words)}" if words else ""


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
