"""Which cells the taps of a kernel touch: along a line, and on a map.

Cells outside the map are padding: taps there are hollow.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from atrous.nn.geometry import output_size, per_axis
from atrous.page.markup import Markup, tag

_CELL = 10  # units of the drawing for each cell


class Kernel(NamedTuple):
    """A kernel on a map, at stride 1.

    Attributes:
        kernel_size: Taps along each axis.
        rate: Cells between neighbouring taps, or one for (rows, columns).
        padding: Cells of padding on each side, or one for (rows, columns).
    """

    kernel_size: int
    rate: int | tuple[int, int]
    padding: int | tuple[int, int]

    def positions(self, cell: int, axis: int = 0) -> list[int]:
        """Return where the taps of one output cell lie; below 0 is padding."""
        rate, padding = per_axis(self.rate)[axis], per_axis(self.padding)[axis]
        return [cell - padding + tap * rate for tap in range(self.kernel_size)]

    def outputs(self, length: int, axis: int = 0) -> int:
        """Return how many output cells a line of `length` cells has."""
        rate, padding = per_axis(self.rate)[axis], per_axis(self.padding)[axis]
        return output_size(length, self.kernel_size, rate=rate, padding=padding)


def touched_cells(
    kernel: Kernel, size: tuple[int, int], cell: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return the (row, column) of each tap that falls inside a map.

    Args:
        kernel: What touches it.
        size: Rows and columns of the map.
        cell: The output cell, (row, column).

    Raises:
        ValueError: There is no such output cell.

    Example:
        >>> touched_cells(Kernel(3, rate=2, padding=2), (5, 5), (0, 2))
        [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]
    """
    _check(kernel, size, cell)
    rows, columns = kernel.positions(cell[0]), kernel.positions(cell[1], axis=1)
    return [
        (row, column)
        for row, column in product(rows, columns)
        if 0 <= row < size[0] and 0 <= column < size[1]
    ]


def tap_line(kernel: Kernel, length: int, cell: int) -> Markup:
    """Draw one output cell, the line of cells that it reads, and its taps.

    Raises:
        ValueError: There is no such output cell.

    Example:
        >>> tap_line(Kernel(3, rate=2, padding=2), 9, 4).count('class="tap"')
        3
    """
    _check(kernel._replace(rate=per_axis(kernel.rate)[0]), (length, length), (cell, cell))
    taps = kernel.positions(cell)
    first, last = min(0, *taps), max(length - 1, *taps)
    offset = per_axis(kernel.padding)[0] - (kernel.kernel_size - 1) * per_axis(kernel.rate)[0] // 2
    above = cell - offset  # the output cell stands over the middle of its taps
    return tag(
        "svg",
        *_lines(length, 1),
        tag("rect", x=above * _CELL, y=-4 * _CELL, width=_CELL, height=_CELL, class_="output"),
        *(_arrow(tap, above, 0 <= tap < length) for tap in taps),
        *(_tap(0, tap, 0 <= tap < length) for tap in taps),
        viewBox=_view((-4, 0), (first, last)),
        role="img",
        aria_label=f"{_inside(taps, length)} of {len(taps)} taps inside a line of {length} cells",
        class_="taps",
    )


def tap_grid(kernel: Kernel, size: tuple[int, int], cell: tuple[int, int]) -> Markup:
    """Draw a map, how many taps are inside for each output cell, and the taps of one of them.

    The darker the ground, the more taps the output cell there reads.

    Raises:
        ValueError: There is no such output cell.

    Example:
        >>> tap_grid(Kernel(3, rate=2, padding=2), (5, 5), (0, 2)).count('class="tap"')
        6
    """
    inside = set(touched_cells(kernel, size, cell))
    rows, columns = kernel.positions(cell[0]), kernel.positions(cell[1], axis=1)
    top, bottom = min(0, *rows), max(size[0] - 1, *rows)
    left, right = min(0, *columns), max(size[1] - 1, *columns)
    return tag(
        "svg",
        *_grounds(kernel, size),
        *_lines(size[1], size[0]),
        *(_tap(row, column, (row, column) in inside) for row, column in product(rows, columns)),
        viewBox=_view((top, bottom), (left, right)),
        role="img",
        aria_label=f"{len(inside)} of {kernel.kernel_size**2} taps inside the map",
        class_="taps",
    )


def regions(kernel: Kernel, length: int, axis: int = 0) -> list[tuple[int, int, int]]:
    """Return runs of output cells with as many taps inside: (first, cells, taps).

    Example:
        >>> regions(Kernel(3, rate=2, padding=2), 9)
        [(0, 2, 2), (2, 5, 3), (7, 2, 2)]
    """
    counts = [
        _inside(kernel.positions(cell, axis), length)
        for cell in range(kernel.outputs(length, axis))
    ]
    runs: list[tuple[int, int, int]] = []
    for cell, count in enumerate(counts):
        if runs and runs[-1][2] == count:
            first, cells, _ = runs[-1]
            runs[-1] = (first, cells + 1, count)
        else:
            runs.append((cell, 1, count))
    return runs


def _grounds(kernel: Kernel, size: tuple[int, int]) -> Iterator[Markup]:
    """Yield a rectangle for each region of output cells with as many taps inside.

    An output cell is drawn where its middle tap lies, as far as the map goes.
    """
    most = kernel.kernel_size**2
    shifts = [
        (kernel.kernel_size - 1) * per_axis(kernel.rate)[k] // 2 - per_axis(kernel.padding)[k]
        for k in (0, 1)
    ]
    for (row, high, down), (column, wide, across) in product(
        regions(kernel, size[0]), regions(kernel, size[1], axis=1)
    ):
        yield tag(
            "rect",
            tag("title", f"{down * across} of {most} taps inside, for {high * wide} cells"),
            x=(column + shifts[1]) * _CELL,
            y=(row + shifts[0]) * _CELL,
            width=wide * _CELL,
            height=high * _CELL,
            class_="ground",
            fill_opacity=f"{0.04 + 0.4 * down * across / most:.3f}",
        )


def _lines(width: int, height: int) -> Iterator[Markup]:
    right, bottom = width * _CELL, height * _CELL
    down = "".join(f"M{x * _CELL} 0V{bottom}" for x in range(width + 1))
    across = "".join(f"M0 {y * _CELL}H{right}" for y in range(height + 1))
    yield tag("path", d=down + across, class_="cells")
    yield tag("rect", x=0, y=0, width=right, height=bottom, class_="edge")


def _tap(row: int, column: int, is_inside: bool) -> Markup:
    # On a large map a single cell is a speck, so a tap is drawn larger than its cell.
    return tag(
        "circle",
        cx=(column + 0.5) * _CELL,
        cy=(row + 0.5) * _CELL,
        r=0.85 * _CELL,
        class_="tap" if is_inside else "tap outside",
    )


def _arrow(tap: int, above: int, is_inside: bool) -> Markup:
    return tag(
        "line",
        x1=(above + 0.5) * _CELL,
        y1=-3 * _CELL,
        x2=(tap + 0.5) * _CELL,
        y2=0,
        class_="reads" if is_inside else "reads outside",
    )


def _view(rows: tuple[int, int], columns: tuple[int, int]) -> str:
    """Return the part of the drawing from the first to the last cell, and one cell around it."""
    (top, bottom), (left, right) = rows, columns
    sides = left - 1, top - 1, right - left + 3, bottom - top + 3
    return " ".join(f"{_CELL * side}" for side in sides)


def _inside(positions: list[int], length: int) -> int:
    return sum(0 <= position < length for position in positions)


def _check(kernel: Kernel, size: tuple[int, int], cell: tuple[int, int]) -> None:
    outputs = kernel.outputs(size[0]), kernel.outputs(size[1], axis=1)
    if not (0 <= cell[0] < outputs[0] and 0 <= cell[1] < outputs[1]):
        raise ValueError(
            f"output cell {cell} is outside the {outputs[0]}x{outputs[1]} cells that {kernel} "
            f"makes of a map of {size[0]}x{size[1]}"
        )
