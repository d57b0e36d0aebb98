import numpy as np
import pytest

from atrous.evaluate.picture import draw_confusion

DEEP_BLUE = (8, 48, 107)
CELL = 54  # px, up to 20 classes


def draw(matrix, **options):
    classes = [f"class {number}" for number in range(len(matrix))]
    palette = [(255, 9 * number % 256, 200) for number in range(len(matrix))]
    return draw_confusion(np.array(matrix), classes, palette, **options)


def area(picture, color):
    return (np.array(picture) == color).all(axis=-1).sum()


def test_a_row_is_divided_by_its_sum_however_many_pixels_it_has():
    rare_and_common = draw([[1, 0], [0, 1_000_000]])
    assert area(rare_and_common, DEEP_BLUE) > 2 * 0.7 * CELL**2


def test_shades_tell_the_share():
    half = tuple((255 + channel) // 2 for channel in DEEP_BLUE)
    picture = np.array(draw([[1, 1], [0, 1]])).astype(int)
    near_half = (abs(picture - half).max(axis=-1) <= 1).sum()
    assert near_half > 2 * 0.7 * CELL**2


def test_an_absent_class_leaves_its_row_blank():
    assert area(draw([[0, 0], [0, 0]]), DEEP_BLUE) == 0


def test_every_class_shows_its_colour_on_both_axes():
    picture = draw(np.eye(3))
    for color in [(255, 0, 200), (255, 9, 200), (255, 18, 200)]:
        assert area(picture, color) == 2 * (CELL // 3 + 1) ** 2


def test_numbers_stand_in_the_cells_unless_there_are_too_many():
    assert area(draw(np.eye(2)), DEEP_BLUE) < 2 * (CELL - 1) ** 2
    assert area(draw(np.eye(60)), DEEP_BLUE) == 60 * (16 - 1) ** 2


@pytest.mark.parametrize("title", ["", "a model on a data set, val"])
def test_the_picture_is_wide_enough_for_long_names(title):
    names = ["a very long name of a class indeed", "b"]
    short = draw(np.eye(2), title=title)
    long = draw_confusion(np.eye(2), names, [(0, 0, 0)] * 2, title=title)
    assert long.width > short.width
    assert long.height > short.height
