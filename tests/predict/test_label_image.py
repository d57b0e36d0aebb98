import numpy as np
import pytest
import torch

from atrous.fast.engines import open_engine
from atrous.kernels.label_map import plain_label_map
from atrous.predict.label_image import label_image


@pytest.fixture
def engine(model):
    return open_engine("torch", model, device=torch.device("cpu"))


def test_labels_are_those_of_the_network(engine, photo, labels):
    assert np.array_equal(label_image(engine, photo).numpy(), labels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (33, 17)])
def test_the_label_map_is_as_large_as_the_picture(engine, height, width):
    found = label_image(engine, np.zeros((height, width, 3), dtype=np.uint8))
    assert found.shape == (height, width)
    assert found.dtype == torch.uint8


def test_mirrored_and_read_only_pictures_are_taken(engine, photo, labels):
    mirrored = photo[::-1, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(label_image(engine, mirrored).numpy(), labels[::-1, ::-1])


def test_the_network_runs_in_eval_mode_and_float32_even_under_autocast(model, engine, photo):
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        label_image(engine, photo)
    assert model.ran == [(False, torch.float32)]
    assert model.training


def test_corners_are_aligned_as_the_network_does(engine, photo):
    logits = torch.randn(1, 4, 5, 7)
    picture = np.zeros((20, 30, 3), dtype=np.uint8)
    for align_corners in (False, True):
        found = label_image(lambda _: logits, picture, align_corners=align_corners)
        expected = plain_label_map(logits, size=(20, 30), align_corners=align_corners)
        assert torch.equal(found, expected[0])
