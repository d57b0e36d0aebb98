import numpy as np
import pytest

from atrous.data.layouts import pascal_context
from atrous.errors import DataError

VALUES = [*range(60), 255]


@pytest.fixture
def root(tmp_path, write_picture, write_mask, drawn):
    home = tmp_path / "VOC2010"
    write_picture(home / "JPEGImages/2008_000002.jpg")
    write_mask(home / "SegmentationClassContext/2008_000002.png", drawn(VALUES))
    (home / "ImageSets/SegmentationContext").mkdir(parents=True)
    (home / "ImageSets/SegmentationContext/val.txt").write_text("2008_000002\n")
    return tmp_path


def test_the_background_is_a_class(root, drawn) -> None:
    dataset = pascal_context.open_split(root, "val")
    assert len(set(dataset.classes)) == 60
    assert (dataset.classes[0], dataset.classes[59]) == ("background", "wood")
    np.testing.assert_array_equal(dataset[0].labels, drawn(VALUES))
    assert pascal_context.recognize(root)


def test_the_background_is_ignored(root, drawn) -> None:
    dataset = pascal_context.open_split_of_59(root / "VOC2010", "val")
    assert (len(dataset.classes), dataset.classes[0]) == (59, "aeroplane")
    # In uint8, 0 - 1 is 255; 255 itself has to stay.
    expected = np.where(drawn(VALUES) == 255, 255, drawn(VALUES) - np.uint8(1))
    np.testing.assert_array_equal(dataset[0].labels, expected)


def test_another_year_beside_it_is_passed_over(root) -> None:
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / "VOC2012" / folder).mkdir(parents=True)
    assert len(pascal_context.open_split(root, "val")) == 1


def test_a_missing_mask_is_named(root) -> None:
    (root / "VOC2010/SegmentationClassContext/2008_000002.png").unlink()
    with pytest.raises(DataError, match=r"2008_000002.png: no such file; convert trainval_merged"):
        pascal_context.open_split(root, "val")
