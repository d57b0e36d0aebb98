from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from atrous.data.labels import IGNORE_INDEX
from atrous.data.order import EndlessOrder
from atrous.data.shapes import ShapesDataset
from atrous.data.transforms import Augmentation, TrainingSamples

STILL: dict[str, Any] = {"scale": (1, 1), "flip": 0}
COLORFUL: dict[str, Any] = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


def picture(height: int = 40, width: int = 60) -> tuple[Tensor, Tensor]:
    """A smooth picture: red tells the row, green the column, blue and labels their sum."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8).expand(height, width)
    return torch.stack((rows, columns, rows + columns)), rows + columns


def test_nothing_is_changed_when_nothing_is_asked_for() -> None:
    image, labels = picture()
    same_image, same_labels = Augmentation(**STILL)(image, labels, seed=3)
    assert torch.equal(same_image, image)
    assert torch.equal(same_labels, labels)


@pytest.mark.parametrize("crop_size", [None, (32, 32), (1, 1), (90, 20), (20, 200), (200, 300)])
@pytest.mark.parametrize("scale", [(0.5, 2.0), (0.01, 0.02), (3.0, 3.0)])
def test_the_result_has_the_crop_size(
    crop_size: tuple[int, int] | None, scale: tuple[float, float]
) -> None:
    augmentation = Augmentation(crop_size=crop_size, scale=scale, **COLORFUL)
    for seed in range(5):
        image, labels = augmentation(*picture(), seed=seed)
        assert image.shape == (3, *(crop_size or (40, 60)))
        assert labels.shape == image.shape[1:]
        assert image.dtype == labels.dtype == torch.uint8


def test_the_labels_move_with_the_image() -> None:
    augmentation = Augmentation(crop_size=(30, 50), scale=(0.7, 1.6))
    for seed in range(30):
        image, labels = augmentation(*picture(), seed=seed)
        inside = labels != IGNORE_INDEX
        assert (image[2].int() - labels.int()).abs()[inside].max() <= 2


def test_labels_are_never_mixed() -> None:
    image = torch.zeros(3, 40, 40, dtype=torch.uint8)
    labels = torch.randint(0, 2, (40, 40), generator=torch.Generator().manual_seed(0)) * 9
    for seed in range(10):
        _, result = Augmentation()(image, labels.to(torch.uint8), seed=seed)
        assert set(result.unique().tolist()) <= {0, 9, IGNORE_INDEX}


def test_flips_as_often_as_asked() -> None:
    augmentation = Augmentation(scale=(1, 1), flip=0.25)
    flipped = [augmentation(*picture(), seed=seed)[0][1, 0, 0] == 59 for seed in range(400)]
    assert 70 < sum(map(int, flipped)) < 130
    image, labels = picture()
    sure = Augmentation(scale=(1, 1), flip=1)(image, labels, seed=0)
    assert torch.equal(sure[0], image.flip(-1))
    assert torch.equal(sure[1], labels.flip(-1))


def test_crops_lie_anywhere_in_the_image() -> None:
    augmentation = Augmentation(crop_size=(38, 58), **STILL)
    corners = {tuple(augmentation(*picture(), seed=s)[0][:2, 0, 0].tolist()) for s in range(200)}
    assert corners == {(top, left) for top in range(3) for left in range(3)}


def test_a_small_image_is_padded_with_its_mean_and_the_labels_with_ignore() -> None:
    image, labels = picture()
    image[2] = torch.tensor([10, 20], dtype=torch.uint8).repeat(30)
    places = set()
    for seed in range(40):
        padded, marks = Augmentation(crop_size=(42, 61), **STILL)(image, labels, seed=seed)
        outside = marks == IGNORE_INDEX
        assert int(outside.sum()) == 42 * 61 - 40 * 60
        assert padded[:, outside].unique(dim=1).tolist() == [[20], [30], [15]]  # halves to even
        top, left = (~outside).nonzero()[0].tolist()
        assert torch.equal(padded[:, top : top + 40, left : left + 60], image)
        places.add((top, left))
    assert places == {(top, left) for top in range(3) for left in range(2)}


def test_the_scale_is_spread_over_its_range() -> None:
    image = torch.zeros(3, 100, 100, dtype=torch.uint8)
    labels = torch.zeros(100, 100, dtype=torch.uint8)
    augmentation = Augmentation(crop_size=(200, 200), scale=(0.5, 2))
    sides = [
        int((augmentation(image, labels, seed=seed)[1] == 0).sum()) ** 0.5 for seed in range(300)
    ]
    assert 50 <= min(sides) < 55
    assert 195 < max(sides) <= 200
    assert np.mean(sides) == pytest.approx(125, abs=8)


@pytest.mark.parametrize("name", COLORFUL)
def test_each_colour_change_changes_the_image_only(name: str) -> None:
    image, labels = picture()
    augmentation = Augmentation(**STILL, **{name: COLORFUL[name]})
    changed, same = augmentation(image, labels, seed=1)
    assert not torch.equal(changed, image)
    assert torch.equal(same, labels)


def test_brightness_stays_within_its_range() -> None:
    image = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    labels = torch.zeros(4, 4, dtype=torch.uint8)
    augmentation = Augmentation(**STILL, brightness=0.2)
    values = [int(augmentation(image, labels, seed=seed)[0][0, 0, 0]) for seed in range(200)]
    assert 79 <= min(values) < 84
    assert 116 < max(values) <= 120


def test_the_seed_is_the_only_source_of_chance() -> None:
    image, labels = picture()
    augmentation = Augmentation(crop_size=(32, 32), **COLORFUL)
    torch.manual_seed(0)
    first = augmentation(image, labels, seed=11)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    again = augmentation(image, labels, seed=11)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = augmentation(image, labels, seed=12)
    assert not torch.equal(first[0], other[0])
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


def test_the_given_tensors_are_not_changed() -> None:
    image, labels = picture()
    for seed in range(5):
        Augmentation(**COLORFUL)(image, labels, seed=seed)
    assert torch.equal(image, picture()[0])
    assert torch.equal(labels, picture()[1])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("crop_size", (0, 4), "crop_size needs at least 1 x 1 pixels"),
        ("scale", (0, 1), "0 < low <= high"),
        ("scale", (2, 1), "0 < low <= high"),
        ("flip", 1.1, "flip must be 0 to 1, got 1.1"),
        ("hue", 0.6, "hue must be 0 to 0.5, got 0.6"),
        ("contrast", -0.1, "contrast must be 0 to 1, got -0.1"),
    ],
)
def test_wrong_arguments_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**{name: value})


def drawn(num_workers: int, start: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Two epochs and a bit of a small data set, as a training draws them."""
    dataset = ShapesDataset("train", length=5, size=(32, 48))
    samples = TrainingSamples(dataset, Augmentation(crop_size=(24, 24), **COLORFUL), seed=3)
    order = EndlessOrder(5, seed=3, start=start, stop=12)
    return [
        tuple(batch)
        for batch in DataLoader(samples, batch_size=2, sampler=order, num_workers=num_workers)
    ]


def assert_same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> None:
    assert len(one) == len(other)
    for (image, labels), (image_2, labels_2) in zip(one, other, strict=True):
        assert torch.equal(image, image_2)
        assert torch.equal(labels, labels_2)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_the_number_of_workers_changes_nothing() -> None:
    torch.manual_seed(0)
    alone = drawn(0)
    torch.manual_seed(1)
    assert alone[0][0].shape == (2, 3, 24, 24)
    assert_same(alone, drawn(1))
    assert_same(alone, drawn(2))


def test_a_run_that_resumes_draws_the_same_samples() -> None:
    assert_same(drawn(0)[2:], drawn(0, start=4))


def test_an_epoch_brings_other_crops_of_the_same_pictures() -> None:
    dataset = ShapesDataset("train", length=5)
    samples = TrainingSamples(dataset, Augmentation(), seed=0)
    assert len(samples) == 5
    assert torch.equal(samples[0, 1][0], samples[0, 1][0])
    assert not torch.equal(samples[0, 1][0], samples[1, 1][0])
    still = TrainingSamples(dataset, Augmentation(**STILL), seed=0)
    assert np.array_equal(still[7, 1][0].permute(1, 2, 0).numpy(), dataset[1].image)
