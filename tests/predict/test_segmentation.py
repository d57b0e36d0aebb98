import numpy as np
import pytest
from PIL import Image

from atrous.data.images import read_mask
from atrous.errors import ResourceError, UsageError
from atrous.predict import Segmentation

CLASSES = ("sky", "road", "car")
PALETTE = ((10, 20, 30), (40, 50, 60), (70, 80, 90))


def segmentation(labels, value=100):
    labels = np.array(labels, dtype=np.uint8)
    image = np.full((*labels.shape, 3), value, dtype=np.uint8)
    return Segmentation(image, labels, CLASSES, PALETTE)


def test_shares_are_fractions_of_the_picture_and_name_absent_classes_too():
    assert segmentation([[0, 0, 0, 2]]).shares() == {"sky": 0.75, "road": 0.0, "car": 0.25}


def test_the_mask_holds_class_numbers_and_colours():
    mask = segmentation([[0, 1], [2, 2]]).mask()
    assert mask.mode == "P"
    assert np.array(mask).tolist() == [[0, 1], [2, 2]]
    assert np.array(mask.convert("RGB"))[1, 0].tolist() == [70, 80, 90]


def test_a_saved_mask_comes_back_bit_for_bit(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (31, 17), dtype=np.uint8)
    path = segmentation(labels).save(tmp_path / "new" / "mask.PNG")
    assert path == tmp_path / "new" / "mask.PNG"
    assert np.array_equal(np.array(Image.open(path)), labels)
    assert [file.name for file in path.parent.iterdir()] == ["mask.PNG"]


def test_the_mask_of_256_classes_or_more_is_grey_of_16_bits(tmp_path):
    labels = np.array([[0, 255], [256, 299]], dtype=np.uint16)
    image, classes = np.zeros((2, 2, 3), np.uint8), tuple(map(str, range(300)))
    found = Segmentation(image, labels, classes, ((0, 0, 0),) * 299 + ((9, 8, 7),))
    saved = read_mask(found.save(tmp_path / "mask.png"))
    assert saved.dtype == np.uint16
    assert np.array_equal(saved, labels)
    assert found.shares()["299"] == 0.25
    assert np.array(found.overlay(1))[1, 1].tolist() == [255, 255, 255]  # between classes


def test_formats_that_alter_class_numbers_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"mask\.jpg: .* name it .*mask\.png"):
        segmentation([[0]]).save(tmp_path / "mask.jpg")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match=r"mask\.png: cannot be written"):
        segmentation([[0]]).save(tmp_path / "file" / "mask.png")


def test_the_overlay_blends_photo_and_colours():
    overlay = segmentation([[1, 1], [1, 1]]).overlay(0.5)
    assert np.array(overlay)[0, 0].tolist() == [70, 75, 80]  # half of 100 and of 40, 50, 60


def test_the_overlay_parts_classes_by_a_white_line():
    overlay = np.array(segmentation([[0, 0, 1, 1]] * 3).overlay(1))
    assert overlay[1, 1].tolist() == [10, 20, 30]
    assert overlay[1, 2].tolist() == [255, 255, 255]
    assert overlay[1, 3].tolist() == [40, 50, 60]


def test_an_overlay_of_opacity_zero_is_the_photograph():
    found = segmentation([[0, 1], [2, 0]])
    assert np.array_equal(np.array(found.overlay(0)), found.image)


def test_lines_are_wider_in_large_pictures():
    labels = np.zeros((1000, 1001), dtype=np.uint8)
    labels[:, 500:] = 1
    white = (np.array(segmentation(labels).overlay(1))[0] == 255).all(axis=-1)
    assert np.flatnonzero(white).tolist() == [500, 501]


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_an_opacity_that_is_none_is_refused(alpha):
    with pytest.raises(UsageError, match="alpha must be 0 to 1"):
        segmentation([[0]]).overlay(alpha)
