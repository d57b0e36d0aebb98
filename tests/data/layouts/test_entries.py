import pickle
from pathlib import Path

import numpy as np
import pytest

from atrous.data.labels import LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, check_size, mask_dataset
from atrous.data.palettes import default_palette
from atrous.errors import DataError

SCHEME = LabelScheme.from_words(["road=3", "sky=5#0000ff"], ignore=[9])


def test_masks_are_read_by_their_scheme(tmp_path, write_picture, write_mask, drawn) -> None:
    values = drawn([3, 5, 9])
    image, mask = write_picture(tmp_path / "a.png"), write_mask(tmp_path / "b.png", values)
    dataset = mask_dataset(SCHEME, "roads", [Entry("a", image, mask)])
    assert (len(dataset), dataset.classes) == (1, ("road", "sky"))
    assert dataset.palette == (default_palette(1)[0], (0, 0, 255))
    expected = np.select([values == 3, values == 5], [0, 1], 255)
    # As a data worker gets it.
    for copy in (dataset, pickle.loads(pickle.dumps(dataset))):  # noqa: S301, our own bytes
        sample = copy[0]
        np.testing.assert_array_equal(sample.labels, expected)
        assert (sample.labels.dtype, sample.name) == (np.uint8, "a")
        assert sample.image.shape == (8, 10, 3)


def test_the_upright_picture_is_what_the_labels_belong_to(
    tmp_path, write_picture, write_mask, drawn
) -> None:
    image = write_picture(tmp_path / "a.jpg", orientation=6)
    mask = write_mask(tmp_path / "b.png", drawn([3, 5]))
    assert mask_dataset(SCHEME, "roads", [Entry("a", image, mask)])[0].image.shape == (8, 10, 3)


def test_a_value_without_meaning_names_the_file_and_the_layout(
    tmp_path, write_picture, write_mask, drawn
) -> None:
    mask = write_mask(tmp_path / "b.png", drawn([3, 7, 7]))
    dataset = mask_dataset(SCHEME, "roads", [Entry("a", write_picture(tmp_path / "a.png"), mask)])
    with pytest.raises(DataError) as caught:
        dataset[0]
    assert str(caught.value).startswith(f"{mask}: value 7 at ")
    assert "is outside the 2 classes; masks of roads have no such values" in str(caught.value)
    assert "dataset.yaml" not in str(caught.value)


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(DataError, match=r"^a.png: is 5 x 4, but its picture is 6 x 4 \(width x"):
        check_size((4, 5), (4, 6), Path("a.png"))


def test_a_split_without_pictures_is_refused() -> None:
    with pytest.raises(DataError, match="roads: has no picture with labels; choose another split"):
        LayoutDataset("roads", ("a", "b"), entries=[], read_labels=lambda *_: np.zeros(0))
