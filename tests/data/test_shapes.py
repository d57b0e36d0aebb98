import hashlib
import time

import numpy as np
import pytest

from atrous.data.shapes import ShapesDataset
from atrous.errors import DataError


def digest(dataset: ShapesDataset, index: int) -> bytes:
    image, labels, _ = dataset[index]
    return hashlib.sha256(image.tobytes() + labels.tobytes()).digest()


def test_a_sample_is_picture_labels_and_name() -> None:
    image, labels, name = ShapesDataset("train", size=(50, 70))[12]
    assert (image.shape, image.dtype) == ((50, 70, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((50, 70), np.uint8)
    assert name == "train-000012"


def test_a_sample_is_the_same_every_time_and_from_any_side() -> None:
    one, other = ShapesDataset("train"), ShapesDataset("train", length=5)
    forwards = [digest(one, i) for i in range(5)]
    backwards = [digest(other, i) for i in reversed(range(5))]
    assert forwards == backwards[::-1]


def test_splits_seeds_and_numbers_have_no_sample_in_common() -> None:
    sets = [ShapesDataset(split, seed=s) for split in ("train", "val", "test") for s in range(3)]
    assert len({digest(dataset, i) for dataset in sets for i in range(20)}) == 180


def test_every_class_is_seen_often_and_no_other_label() -> None:
    dataset = ShapesDataset("val")
    counts = sum(np.bincount(dataset[i].labels.ravel(), minlength=256) for i in range(60))
    shares = np.asarray(counts) / np.sum(counts)
    assert len(dataset.classes) == len(dataset.palette) == 6
    assert shares[0] < 0.85
    assert shares[1:6].min() > 0.02
    assert shares[6:].sum() == 0


def test_objects_come_at_many_scales() -> None:
    dataset = ShapesDataset("train")
    areas = np.array([np.bincount(dataset[i].labels.ravel(), minlength=6)[1] for i in range(200)])
    areas = areas[areas > 0]
    assert areas.min() < 60
    assert areas.max() > 1500


def test_colour_leaves_three_shapes_to_choose_from() -> None:
    dataset = ShapesDataset("train")
    is_warm: dict[str, list[bool]] = {name: [] for name in dataset.classes}
    for i in range(150):
        image, labels, _ = dataset[i]
        for label in np.unique(labels):
            red, _, blue = image[labels == label].mean(axis=0)
            is_warm[dataset.classes[label]].append(bool(red > blue))
    shares = {name: np.mean(flags) for name, flags in is_warm.items()}
    assert min(shares["disc"], shares["ring"]) > 0.95
    assert max(shares["square"], shares["cross"]) < 0.05
    assert 0.3 < shares["triangle"] < 0.7


def test_small_pictures_can_be_drawn() -> None:
    assert ShapesDataset("test", size=(16, 200))[0].image.shape == (16, 200, 3)


def test_a_sample_takes_little_time() -> None:
    dataset = ShapesDataset("train")
    times = []
    for index in range(40):
        start = time.thread_time()
        dataset[index]
        times.append(time.thread_time() - start)
    assert np.median(times) < 0.01  # 0.002 is usual


def test_the_length_can_be_chosen() -> None:
    assert [len(ShapesDataset(split)) for split in ("train", "val", "test")] == [2000, 100, 100]
    dataset = ShapesDataset("train", length=3)
    assert len(dataset) == 3
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"0 to 2, got {index}"):
            dataset[index]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="shapes: no split 'training'; there is train, val, test"):
        ShapesDataset("training")
    with pytest.raises(ValueError, match="at least 16 x 16 pixels, got"):
        ShapesDataset("train", size=(15, 40))
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        ShapesDataset("train", length=0)
