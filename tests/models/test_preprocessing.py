import math

import pytest
import torch

from atrous.models import Preprocessing


def test_each_channel_has_its_mean_and_deviation():
    preprocessing = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).repeat(2, 1, 4, 5)
    prepared = preprocessing(images)
    assert prepared.shape == (2, 3, 4, 5)
    assert prepared.dtype == torch.float32
    expected = torch.tensor([(0 - 0.1) / 0.5, (0.2 - 0.2) / 0.25, (1 - 0.3) / 2])
    assert torch.allclose(prepared[1, :, 3, 4], expected, atol=1e-7)


def test_by_default_they_are_those_of_imagenet():
    assert Preprocessing().mean == (0.485, 0.456, 0.406)
    assert Preprocessing().std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((math.nan,), (1.0,)),
        ((math.inf,), (1.0,)),
        ((0.5,), (0.0,)),
        ((0.5,), (-1.0,)),
        ((0.5,), (math.nan,)),
        ((0.5,), (math.inf,)),
        ((0.5, 0.5), (0.5,)),
    ],
)
def test_numbers_that_would_spoil_every_pixel_are_refused(mean, std):
    with pytest.raises(ValueError, match="mean"):
        Preprocessing(mean, std)
