"""Which taps of an atrous kernel fall inside the map, as work for a processor that skips the rest.

Along an axis the cells between two cuts see the same taps, and so do those of a rectangle between
cuts along both axes: a region. What a region's kernel reads is a rectangle of taps, and all of it
lies inside the map, so nothing is masked. The cells of a region, image after image, are dealt out
in tiles of equal size.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, product
from typing import NamedTuple


class Kernel(NamedTuple):
    """The taps of one branch: how many along each axis, odd numbers, and how far apart."""

    rows: int
    columns: int
    row_rate: int
    column_rate: int

    @property
    def taps(self) -> int:
        """How many taps there are."""
        return self.rows * self.columns


class Span(NamedTuple):
    """Neighbouring cells of one axis that have the same taps inside the map."""

    start: int
    length: int
    first_tap: int
    taps: int


class Tile(NamedTuple):
    """A block of cells, the taps that each of them has inside the map, and where these lie.

    The cells are those from `first` on of a region's rectangle, counted through its rows, its
    columns and the images. Shifts are in cells of the map, counted row by row; taps are counted
    through the branches, row by row. The kernel reads the fields by their order.
    """

    branch: int
    first: int
    top: int
    left: int
    height: int
    width: int
    tap_rows: int
    tap_columns: int
    first_tap: int
    taps_in_row: int  # of the whole kernel: from one row of taps to the next
    first_shift: int  # from a cell to what its first live tap reads
    row_shift: int  # from there to the next row of taps
    column_shift: int

    @property
    def live_taps(self) -> int:
        """How many taps are computed; the others fall on padding."""
        return self.tap_rows * self.tap_columns


def spans(length: int, taps: int, rate: int) -> list[Span]:
    """Return how the cells of an axis fall apart by the taps that they have inside.

    Example:
        >>> spans(65, 3, 24)  # as arXiv:1706.05587, figure 4, seen along one axis
        [Span(start=0, length=24, first_tap=1, taps=2), Span(start=24, length=17, first_tap=0, \
taps=3), Span(start=41, length=24, first_tap=0, taps=2)]
    """
    offsets = [(tap - taps // 2) * rate for tap in range(taps)]
    borders = [border - offset for offset in offsets for border in (0, length)]
    cuts = sorted({min(max(border, 0), length) for border in borders})
    found = []
    for start, end in pairwise(cuts):
        live = [tap for tap, offset in enumerate(offsets) if 0 <= start + offset < length]
        found.append(Span(start, end - start, live[0], len(live)))
    return found


def plan(kernels: Sequence[Kernel], *, batch: int, size: tuple[int, int], cells: int) -> list[Tile]:
    """Return the tiles of all branches, those with the most live taps first.

    Processors that take one tile after another then end at nearly the same time, as what comes
    last is short.

    Args:
        kernels: The taps of each branch.
        batch: Number of images.
        size: Rows and columns of the map.
        cells: Cells in a tile.

    Example:
        >>> three = Kernel(3, 3, 24, 24)
        >>> tiles = plan([three], batch=1, size=(33, 33), cells=64)
        >>> len(tiles), sum(tile.live_taps for tile in tiles), tiles[0].live_taps
        (24, 60, 4)
    """
    first_taps = accumulate((kernel.taps for kernel in kernels), initial=0)
    tiles = [
        tile._replace(first=first)
        for branch, (kernel, first_tap) in enumerate(zip(kernels, first_taps, strict=False))
        for tile in _regions(kernel, size, branch=branch, first_tap=first_tap)
        for first in range(0, batch * tile.height * tile.width, cells)
    ]
    return sorted(tiles, key=lambda tile: -tile.live_taps)


def _regions(
    kernel: Kernel, size: tuple[int, int], *, branch: int, first_tap: int
) -> Iterator[Tile]:
    """Yield the first tile of each region."""
    height, width = size
    down = spans(height, kernel.rows, kernel.row_rate)
    right = spans(width, kernel.columns, kernel.column_rate)
    row_shift = kernel.row_rate * width
    for rows, columns in product(down, right):
        above, before = kernel.rows // 2 - rows.first_tap, kernel.columns // 2 - columns.first_tap
        yield Tile(
            branch=branch,
            first=0,
            top=rows.start,
            left=columns.start,
            height=rows.length,
            width=columns.length,
            tap_rows=rows.taps,
            tap_columns=columns.taps,
            first_tap=first_tap + rows.first_tap * kernel.columns + columns.first_tap,
            taps_in_row=kernel.columns,
            first_shift=-above * row_shift - before * kernel.column_rate,
            row_shift=row_shift,
            column_shift=kernel.column_rate,
        )
