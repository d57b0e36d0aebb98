from pathlib import Path

import numpy as np
import pytest

from atrous.data.layouts import cityscapes
from atrous.errors import DataError

IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]  # of the 19
NAME = "bonn/bonn_000000_000019"


@pytest.fixture
def root(tmp_path: Path, write_picture) -> Path:
    write_picture(tmp_path / f"leftImg8bit/val/{NAME}_leftImg8bit.png")
    (tmp_path / "gtFine").mkdir()
    return tmp_path


def test_34_ids_become_19_classes(root, write_mask, drawn) -> None:
    values = drawn([*range(34), 255])
    write_mask(root / f"gtFine/val/{NAME}_gtFine_labelIds.png", values)
    sample = cityscapes.open_split(root, "val")[0]
    expected = np.full(values.shape, 255)
    for label, number in enumerate(IDS):
        expected[values == number] = label
    np.testing.assert_array_equal(sample.labels, expected)
    assert sample.name == NAME


def test_train_ids_are_taken_where_there_is_nothing_else(root, write_mask, drawn) -> None:
    values = drawn([*range(19), 255])
    write_mask(root / f"gtFine/val/{NAME}_gtFine_labelTrainIds.png", values)
    np.testing.assert_array_equal(cityscapes.open_split(root, "val")[0].labels, values)
    write_mask(root / f"gtFine/val/{NAME}_gtFine_labelIds.png", values * 0)
    assert (cityscapes.open_split(root, "val")[0].labels == 255).all()


def test_names_and_colours(root, write_mask, drawn) -> None:
    write_mask(root / f"gtFine/val/{NAME}_gtFine_labelIds.png", drawn([7]))
    dataset = cityscapes.open_split(root, "val")
    colors = dict(zip(dataset.classes, dataset.palette, strict=True))
    assert len(colors) == 19
    assert colors["road"] == (128, 64, 128)
    assert list(colors)[13] == "car"
    assert colors["bicycle"] == (119, 11, 32)


def test_a_missing_mask_or_split_is_named(root) -> None:
    assert cityscapes.recognize(root)
    with pytest.raises(DataError, match=r"000019_gtFine_labelIds.png: no such file; unpack gtFine"):
        cityscapes.open_split(root, "val")
    with pytest.raises(DataError, match=r"leftImg8bit/dev: no such folder; the splits are train,"):
        cityscapes.open_split(root, "dev")


def test_other_values_are_refused(root, write_mask, drawn) -> None:
    write_mask(root / f"gtFine/val/{NAME}_gtFine_labelIds.png", drawn([7, 40]))
    with pytest.raises(DataError, match=r"value 40 at .* outside the 19 classes; masks of City"):
        cityscapes.open_split(root, "val")[0]
