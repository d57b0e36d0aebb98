import re
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.inspect.drawings.tap_grid import Kernel, regions, tap_grid, tap_line, touched_cells
from atrous.nn.geometry import output_size, tap_histogram, useful_taps

lengths = st.integers(1, 14)


@given(
    kernel_size=st.integers(1, 5),
    rate=st.integers(1, 5),
    padding=st.integers(0, 6),
    size=st.tuples(lengths, lengths),
)
def test_the_cells_are_those_that_a_convolution_reads(kernel_size, rate, padding, size):
    kernel = Kernel(kernel_size, rate, padding)
    outputs = [output_size(n, kernel_size, rate=rate, padding=padding) for n in size]
    if min(outputs) < 1:
        return
    cell = outputs[0] // 2, outputs[1] - 1
    x = torch.zeros(1, 1, *size, requires_grad=True)
    weight = torch.ones(1, 1, kernel_size, kernel_size)
    y = torch.nn.functional.conv2d(x, weight, padding=padding, dilation=rate)
    assert list(y.shape[-2:]) == outputs
    (gradient,) = torch.autograd.grad(y[0, 0, cell[0], cell[1]], x)
    read = [tuple(one) for one in gradient[0, 0].nonzero().tolist()]
    assert sorted(touched_cells(kernel, size, cell)) == read


@pytest.mark.parametrize("side", [65, 33])
@pytest.mark.parametrize("rate", [6, 12, 18])
def test_all_pictures_of_a_map_count_to_the_closed_form(rate, side):
    kernel = Kernel(3, rate, padding=rate)
    total = sum(
        len(touched_cells(kernel, (side, side), cell)) for cell in product(range(side), repeat=2)
    )
    assert total / side**2 == pytest.approx(useful_taps(rate, side, side))


@pytest.mark.parametrize("size", [(65, 65), (33, 33), (23, 30)])
@pytest.mark.parametrize("rate", [6, 12, 18])
def test_the_grounds_of_a_picture_are_the_closed_form(rate, size):
    drawing = tap_grid(Kernel(3, rate, padding=rate), size, (0, 0))
    cells = {}
    for taps, number in re.findall(r"(\d+) of 9 taps inside, for (\d+) cells", drawing):
        cells[int(taps)] = cells.get(int(taps), 0) + int(number)
    shares = {taps: number / (size[0] * size[1]) for taps, number in cells.items()}
    assert shares == pytest.approx(tap_histogram(rate, *size))


def test_a_corner_of_a_map_reads_four_of_nine():
    drawing = tap_grid(Kernel(3, 18, padding=18), (33, 33), (0, 0))
    assert drawing.count('class="tap"') == 4
    assert drawing.count('class="tap outside"') == 5
    assert 'aria-label="4 of 9 taps inside the map"' in drawing


def test_rates_may_differ_between_the_axes():
    kernel = Kernel(3, rate=(6, 21), padding=(6, 21))
    assert touched_cells(kernel, (33, 33), (16, 16)) == [(10, 16), (16, 16), (22, 16)]
    assert regions(kernel, 33, axis=1) == [(0, 12, 2), (12, 9, 1), (21, 12, 2)]


def test_a_line_shows_each_tap_and_where_it_comes_from():
    drawing = tap_line(Kernel(3, 4, padding=4), 9, 1)
    assert drawing.count('class="reads"') == drawing.count('class="tap"') == 2
    assert drawing.count('class="reads outside"') == drawing.count('class="tap outside"') == 1
    left, top, width, height = map(int, re.search(r'viewBox="([^"]*)"', drawing)[1].split())
    xs = [float(x) for x in re.findall(r'cx="([^"]*)"', drawing)]
    assert left < min(xs)
    assert max(xs) < left + width
    assert (top, height) == (-50, 70)


@pytest.mark.parametrize("cell", [(-1, 0), (0, 5), (5, 0)])
def test_a_cell_that_is_none_is_refused(cell):
    with pytest.raises(ValueError, match="is outside the 5x5 cells"):
        tap_grid(Kernel(3, 2, padding=2), (5, 5), cell)
