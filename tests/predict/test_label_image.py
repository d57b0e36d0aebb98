import numpy as np
import pytest
import torch

from atrous.fast.engines import open_engine
from atrous.kernels.label_map import plain_label_map
from atrous.predict import label_image as module
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


@pytest.mark.parametrize("classes", [4, 300])
def test_many_pictures_go_the_compiled_way_to_the_same_labels(classes, monkeypatch):
    torch.manual_seed(0)
    logits, ways = torch.randn(1, classes, 5, 7), []
    monkeypatch.setattr(module, "_brought", 0)
    monkeypatch.setattr(module, "_ENOUGH", 2 * classes * 20 * 30)
    plain = module.label_map
    monkeypatch.setattr(module, "label_map", lambda *a, **k: ways.append("plain") or plain(*a, **k))
    picture = np.zeros((20, 30, 3), dtype=np.uint8)
    maps = [label_image(lambda _: logits, picture) for _ in range(3)]
    assert ways == ["plain"]
    expected = plain_label_map(logits, size=(20, 30))[0]
    for found in maps:
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
