import numpy as np
import pytest

from atrous.data.layouts import cocostuff
from atrous.errors import DataError

NO_PIXELS = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91]  # ids, which are mask values plus one


@pytest.fixture
def root(tmp_path, write_picture):
    for name in ("000000000009", "000000000025"):
        write_picture(tmp_path / f"images/val2017/{name}.jpg")
    return tmp_path


def write_masks(root, write_mask, drawn, suffix="", folder="annotations", values=(0, 255)):
    drawn_masks = [drawn(list(values), seed) for seed in (9, 25)]
    for name, mask in zip(("000000000009", "000000000025"), drawn_masks, strict=True):
        write_mask(root / folder / f"val2017/{name}{suffix}.png", mask)
    return drawn_masks


@pytest.mark.parametrize("folder", ["annotations", "stuffthingmaps"])
def test_ids_less_one_become_171_classes(folder, root, write_mask, drawn) -> None:
    used = [number - 1 for number in range(1, 183) if number not in NO_PIXELS]
    values = [*used[:24], *used[-24:], 255]
    masks = write_masks(root, write_mask, drawn, folder=folder, values=values)
    dataset = cocostuff.open_split(root, "val")
    for k in (0, 1):
        expected = np.full(masks[k].shape, 255)
        for label, value in enumerate(used):
            expected[masks[k] == value] = label
        np.testing.assert_array_equal(dataset[k].labels, expected)
    assert cocostuff.recognize(root)


def test_train_ids_are_read_as_they_are(root, write_mask, drawn) -> None:
    masks = write_masks(root, write_mask, drawn, "_labelTrainIds", values=(0, 11, 170, 255))
    np.testing.assert_array_equal(cocostuff.open_split(root, "val2017")[1].labels, masks[1])


def test_published_masks_win_over_converted_ones(root, write_mask, drawn) -> None:
    write_masks(root, write_mask, drawn, "_labelTrainIds", values=(0, 255))
    write_masks(root, write_mask, drawn, values=(12, 255))
    assert set(np.unique(cocostuff.open_split(root, "val")[0].labels)) == {11, 255}


def test_pictures_may_lie_beside_the_masks(root, write_mask, drawn) -> None:
    write_masks(root, write_mask, drawn)
    (root / "images/val2017").rename(root / "val2017")
    (root / "images").rmdir()
    assert len(cocostuff.open_split(root, "val")) == 2


def test_names(root, write_mask, drawn) -> None:
    write_masks(root, write_mask, drawn)
    classes = cocostuff.open_split(root, "val").classes
    assert len(set(classes)) == 171
    assert [classes[k] for k in (0, 10, 11, 79, 80, 170)] == [
        *("person", "fire hydrant", "stop sign", "toothbrush", "banner", "wood"),
    ]


def test_a_value_that_has_no_pixel_anywhere_is_refused(root, write_mask, drawn) -> None:
    write_masks(root, write_mask, drawn, values=(0, 11))
    with pytest.raises(DataError, match=r"value 11 at .* outside the 171 classes"):
        cocostuff.open_split(root, "val")[0]


def test_what_is_missing_is_named(root, write_mask, drawn) -> None:
    with pytest.raises(DataError, match=r"annotations: no such folder; unpack stuffthingmaps"):
        cocostuff.open_split(root, "val")
    write_masks(root, write_mask, drawn)
    (root / "annotations/val2017/000000000025.png").unlink()
    with pytest.raises(DataError, match=r"000000000025.png: no such file; unpack stuffthingmaps"):
        cocostuff.open_split(root, "val")
