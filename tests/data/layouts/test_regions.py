from pathlib import Path

import numpy as np
import pytest

from atrous.data.layouts.painting import rectangle
from atrous.data.layouts.regions import Drawing, Region, Runs, class_numbers, paint
from atrous.errors import DataError

FILE = Path("a.json")


def test_later_regions_lie_on_top() -> None:
    regions = [
        Region(1, [rectangle(0, 0, 3, 2), rectangle(4, 0, 5, 1)]),
        Region(2, runs=Runs([1, 2, 1], left=1, top=1, width=2, height=2)),
    ]
    labels = paint(Drawing(FILE, (3, 5), regions), (3, 5))
    assert labels.tolist() == [[1, 1, 1, 0, 1], [1, 1, 2, 0, 0], [0, 2, 0, 0, 0]]
    assert labels.dtype == np.uint8


def test_runs_may_go_down_the_columns() -> None:
    runs = Runs([1, 2, 3], 0, 0, width=3, height=2, by_column=True)
    labels = paint(Drawing(FILE, None, [Region(5, runs=runs)]), (2, 3))
    assert labels.tolist() == [[0, 5, 0], [5, 0, 0]]


def test_a_drawing_of_another_picture_is_refused() -> None:
    with pytest.raises(DataError, match=r"^a.json: is 5 x 3, but its picture is 3 x 5 \(width x"):
        paint(Drawing(FILE, (3, 5), []), (5, 3))


@pytest.mark.parametrize(("left", "top"), [(2, 0), (0, 2), (-1, 0), (0, -1), (99, 99)])
def test_a_mask_that_reaches_out_of_the_picture_is_refused(left: int, top: int) -> None:
    region = Region(1, runs=Runs([0, 4], left, top, 2, 2))
    with pytest.raises(DataError, match=r"^a.json: a mask reaches out of the picture"):
        paint(Drawing(FILE, None, [region]), (3, 3))


def test_the_background_comes_first() -> None:
    assert class_numbers(["b", "a", "background", "b"], FILE) == {"background": 0, "b": 1, "a": 2}
    with pytest.raises(DataError, match=r"^a.json: names 0 classes beside the background"):
        class_numbers([], FILE)
    with pytest.raises(DataError, match=r"^a.json: names 254 classes beside .* expected 1 to 253"):
        class_numbers(map(str, range(254)), FILE)
