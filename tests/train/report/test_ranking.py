import base64
import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from atrous.data import Sample
from atrous.train.report import ImageRanking

PALETTE = ((10, 20, 30), (200, 0, 0))


def _add(ranking, name, *, right, pixels=100):
    """Add an image of class 0 of which `right` pixels are found: an IoU of half of that share."""
    labels = torch.ones(1, pixels, dtype=torch.uint8)
    labels[:, :right] = 0
    photo = np.zeros((1, pixels, 3), np.uint8)
    ranking.add(Sample(photo, np.zeros((1, pixels), np.uint8), name), labels)


def _pixels(address):
    head, _, content = address.partition(",")
    assert head in {"data:image/png;base64", "data:image/jpeg;base64"}
    return Image.open(io.BytesIO(base64.b64decode(content)))


@given(st.lists(st.integers(0, 99), max_size=30), st.integers(0, 3), st.integers(0, 4))
def test_the_extremes_are_those_of_a_sorted_list(rights, best, worst):
    ranking = ImageRanking(PALETTE, best=best, worst=worst)
    for right in rights:
        _add(ranking, str(right), right=right)
    ordered = sorted(rights)
    top = ordered[len(ordered) - min(best, len(ordered)) :]
    assert [int(image.name) for image in ranking.best] == top[::-1]
    rest = ordered[: len(ordered) - len(top)]
    assert [int(image.name) for image in ranking.worst] == rest[:worst]
    assert [image.iou for image in ranking.best] == [right / 200 for right in top[::-1]]


def test_an_image_without_a_labelled_pixel_is_not_ranked():
    ranking = ImageRanking(PALETTE)
    void = Sample(np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 255, np.uint8), "void")
    ranking.add(void, torch.zeros(2, 2, dtype=torch.uint8))
    assert (ranking.best, ranking.worst) == ([], [])


def test_the_pictures_show_photo_truth_and_prediction():
    ranking = ImageRanking(PALETTE)
    truth = np.array([[0, 1, 255, 1]], np.uint8)
    labels = torch.tensor([[1, 1, 0, 0]], dtype=torch.uint8)
    ranking.add(Sample(np.full((1, 4, 3), 80, np.uint8), truth, "a"), labels)
    (image,) = ranking.best
    assert np.abs(np.array(_pixels(image.photo), int) - 80).max() <= 2
    shown = np.array(_pixels(image.truth).convert("RGBA"))[0].tolist()
    assert shown[:2] == [[10, 20, 30, 255], [200, 0, 0, 255]]
    assert shown[2][3] == 0
    shown = np.array(_pixels(image.prediction).convert("RGB"))[0].tolist()
    assert shown == [[200, 0, 0], [200, 0, 0], [10, 20, 30], [10, 20, 30]]


@pytest.mark.parametrize(("size", "shown"), [((900, 1200), (216, 288)), ((50, 60), (50, 60))])
def test_large_pictures_are_shrunk_and_small_ones_are_not_blown_up(size, shown):
    ranking = ImageRanking(PALETTE)
    photo, truth = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    ranking.add(Sample(photo, truth, "a"), torch.zeros(size, dtype=torch.uint8))
    for address in ranking.best[0][2:]:
        assert _pixels(address).size == shown[::-1]


def test_twelve_pictures_of_noise_are_less_than_three_megabytes():
    draw = np.random.default_rng(0)
    palette = tuple((k, k, k) for k in range(150))
    ranking = ImageRanking(palette)
    truth = draw.integers(0, 150, (216, 288), dtype=np.uint8)
    photo = draw.integers(0, 256, (216, 288, 3), dtype=np.uint8)
    ranking.add(Sample(photo, truth, "noise"), torch.from_numpy(truth[::-1].copy()))
    assert 12 * sum(map(len, ranking.best[0][2:])) < 3_000_000
