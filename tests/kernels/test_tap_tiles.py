from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atrous.kernels.tap_tiles import Kernel, plan, spans
from atrous.nn.geometry import useful_taps

sides, rates, odd = st.integers(1, 14), st.integers(1, 16), st.sampled_from([1, 3, 5])
kernels = st.builds(Kernel, rows=odd, columns=odd, row_rate=rates, column_rate=rates)


def inside(kernel, size, cell):
    """Brute force: the taps of a cell that fall inside the map, and what each reads."""
    reads = {}
    for row, column in product(range(kernel.rows), range(kernel.columns)):
        y = cell[0] + (row - kernel.rows // 2) * kernel.row_rate
        x = cell[1] + (column - kernel.columns // 2) * kernel.column_rate
        if 0 <= y < size[0] and 0 <= x < size[1]:
            reads[row * kernel.columns + column] = y * size[1] + x
    return reads


def computed(tile, batch, size, cells):
    """What the kernel makes of a tile: each image and cell, with its taps and what they read."""
    for index in range(tile.first, min(tile.first + cells, batch * tile.height * tile.width)):
        image, rest = divmod(index, tile.height * tile.width)
        y, x = tile.top + rest // tile.width, tile.left + rest % tile.width
        reads = {
            tile.first_tap + row * tile.taps_in_row + column: y * size[1]
            + x
            + tile.first_shift
            + row * tile.row_shift
            + column * tile.column_shift
            for row, column in product(range(tile.tap_rows), range(tile.tap_columns))
        }
        yield (image, y, x), reads


@given(
    branches=st.lists(kernels, min_size=1, max_size=3),
    batch=st.integers(1, 3),
    size=st.tuples(sides, sides),
    cells=st.sampled_from([1, 4, 16, 64]),
)
def test_every_cell_once_with_the_taps_inside_and_no_other(branches, batch, size, cells):
    tiles = plan(branches, batch=batch, size=size, cells=cells)
    first_tap = 0
    for branch, kernel in enumerate(branches):
        own = [tile for tile in tiles if tile.branch == branch]
        found = [pair for tile in own for pair in computed(tile, batch, size, cells)]
        assert len(found) == batch * size[0] * size[1]
        expected = {
            (image, y, x): {
                first_tap + tap: read for tap, read in inside(kernel, size, (y, x)).items()
            }
            for image, y, x in product(range(batch), range(size[0]), range(size[1]))
        }
        assert dict(found) == expected
        first_tap += kernel.taps


@given(kernel=kernels, size=st.tuples(sides, sides))
def test_tiles_of_one_cell_count_the_useful_taps(kernel, size):
    tiles = plan([kernel], batch=1, size=size, cells=1)
    live = sum(tile.live_taps for tile in tiles)
    assert live == sum(len(inside(kernel, size, cell)) for cell in product(*map(range, size)))
    if kernel.rows == kernel.columns:
        rate = kernel.row_rate, kernel.column_rate
        assert live == pytest.approx(useful_taps(rate, *size, kernel.rows) * size[0] * size[1])


def test_what_most_is_to_do_for_comes_first():
    tiles = plan([Kernel(1, 1, 1, 1), Kernel(3, 3, 4, 4)], batch=2, size=(9, 9), cells=16)
    counts = [tile.live_taps for tile in tiles]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (9, 1)


def test_a_rate_beyond_the_map_leaves_the_centre():
    (tile,) = plan([Kernel(3, 3, 9, 12)], batch=1, size=(9, 12), cells=128)
    assert (tile.live_taps, tile.first_tap, tile.first_shift) == (1, 4, 0)


@pytest.mark.parametrize(("rate", "lengths"), [(12, (12, 41, 12)), (36, (29, 7, 29)), (65, (65,))])
def test_an_axis_falls_apart_where_a_tap_comes_or_goes(rate, lengths):
    assert tuple(span.length for span in spans(65, 3, rate)) == lengths


def test_tiles_cost_little_beside_what_is_saved():
    # v3 at 513x513 and stride 8; 16.6 of the 28 taps are inside, the worst case of rounding is 28.
    branches = [Kernel(1, 1, 1, 1), *(Kernel(3, 3, rate, rate) for rate in (12, 24, 36))]
    useful = sum(useful_taps(kernel.row_rate, 65, 65, kernel.rows) for kernel in branches)
    for batch, cells, most in ((8, 128, 1.03), (1, 64, 1.09)):
        tiles = plan(branches, batch=batch, size=(65, 65), cells=cells)
        paid = sum(tile.live_taps for tile in tiles) * cells
        assert 1 <= paid / (useful * 65 * 65 * batch) < most
