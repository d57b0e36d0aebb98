import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from atrous.data.layouts.painting import (
    corners,
    decode_runs,
    ellipse,
    paint_polygon,
    polygon_area,
    rectangle,
    runs_to_mask,
)
from atrous.errors import DataError

POINTS = stn.arrays(
    np.float64, st.tuples(st.integers(3, 7), st.just(2)), elements=st.floats(-4, 14, width=16)
)


def is_inside(x: float, y: float, points: np.ndarray) -> bool:
    """The even-odd rule, pixel by pixel: count the edges to the left of a centre."""
    inside = False
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y):
            inside ^= x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x
    return inside


@given(POINTS)
def test_a_pixel_is_inside_where_its_centre_is(points: np.ndarray) -> None:
    labels = np.zeros((8, 10), dtype=np.uint8)
    paint_polygon(labels, points, 3)
    expected = [[3 * is_inside(x + 0.5, y + 0.5, points) for x in range(10)] for y in range(8)]
    np.testing.assert_array_equal(labels, expected)


def test_neighbours_share_no_pixel_and_leave_none_out() -> None:
    count = np.zeros((8, 10), dtype=np.uint8)
    meeting = (4.5, 3.5)  # a centre
    rim = [(0, 0), (10, 0), (10, 8), (0, 8)]
    for k in range(4):
        part = np.zeros_like(count)
        paint_polygon(part, np.array([rim[k], rim[(k + 1) % 4], meeting]), 1)
        count += part
    assert (count == 1).all()


def test_what_lies_outside_is_cut_off() -> None:
    labels = np.zeros((4, 5), dtype=np.uint8)
    paint_polygon(labels, rectangle(-1e6, -3, 2, 1e6), 1)
    paint_polygon(labels, rectangle(50, 0, 60, 4), 2)
    paint_polygon(labels, rectangle(0, -9, 5, -5), 2)
    assert labels.tolist() == [[1, 1, 0, 0, 0]] * 4


def test_an_ellipse_stays_within_a_tenth_of_a_pixel() -> None:
    for radius in (0.5, 5, 500, 50_000):
        points = ellipse(0, 0, radius, radius)
        middles = (points + np.roll(points, 1, axis=0)) / 2
        assert radius - np.hypot(*middles.T).min() < 0.1
    assert len(ellipse(0, 0, 1e200, 1)) < 10_000


def test_areas() -> None:
    assert polygon_area(rectangle(1, 2, 4, 7)) == 15
    assert polygon_area(ellipse(20, 30, 10, 40)) == pytest.approx(np.pi * 400, rel=0.01)


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4], [1, 2, 3], ["a"] * 6, [1, 2, 3, 4, 5, 1e300]])
def test_what_is_no_polygon_is_refused(numbers: list) -> None:
    with pytest.raises(DataError, match=r"^a.json: a polygon needs three points x, y or more"):
        corners(numbers, "a.json")


def encode_runs(lengths: list[int]) -> str:
    """Write run lengths as COCO does; the inverse, from its description."""
    text = ""
    for k, length in enumerate(lengths):
        value = length - lengths[k - 2] if k > 2 else length
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=12))
def test_run_lengths_survive_being_text(lengths: list[int]) -> None:
    assert decode_runs(encode_runs(lengths), "a.json") == lengths


@pytest.mark.parametrize("text", ["5\x00", "é", "P", "oooooooooooooo"])
def test_text_that_is_no_run_lengths_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^a.json: run lengths (hold|break off)"):
        decode_runs(text, "a.json")


def test_runs_become_rows() -> None:
    mask = runs_to_mask([1, 2, 2, 1], 2, 3, "a.json")
    assert mask.tolist() == [[False, True, True], [False, False, True]]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([1, 2], "add up to 3, expected 3 x 2 pixels"),
        ([2**62, 2**62, 2**62, 2**62 + 6], "expected 3 x 2 pixels"),
        ([7, -1], "whole numbers from 0"),
        ([2.5, 3.5], "whole numbers from 0"),
        (["a"], "whole numbers from 0"),
    ],
)
def test_runs_that_do_not_fit_are_refused(runs: list, message: str) -> None:
    with pytest.raises(DataError, match=f"^a.json: run lengths .*{message}"):
        runs_to_mask(runs, 2, 3, "a.json")
