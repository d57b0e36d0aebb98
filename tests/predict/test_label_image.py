import numpy as np
import pytest
import torch
from torch import nn

from atrous.predict.label_image import eval_mode, label_image


def test_labels_are_those_of_the_network(model, photo, labels):
    assert np.array_equal(label_image(model, photo).numpy(), labels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (33, 17)])
def test_the_label_map_is_as_large_as_the_picture(model, height, width):
    found = label_image(model, np.zeros((height, width, 3), dtype=np.uint8))
    assert found.shape == (height, width)
    assert found.dtype == torch.uint8


def test_mirrored_and_read_only_pictures_are_taken(model, photo, labels):
    mirrored = photo[::-1, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(label_image(model, mirrored).numpy(), labels[::-1, ::-1])


def test_the_network_runs_in_eval_mode_and_float32_even_under_autocast(model, photo):
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        label_image(model, photo)
    assert model.ran == [(False, torch.float32)]
    assert model.training


def test_each_module_gets_back_the_mode_it_had_even_after_an_error():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
    network[0].eval()  # as for a frozen norm in a network that trains
    with pytest.raises(ZeroDivisionError):
        _fail_while_in_eval_mode(network)
    assert [network.training, network[0].training, network[1].training] == [True, False, True]


def _fail_while_in_eval_mode(network):
    with eval_mode(network):
        assert not network[1].training
        raise ZeroDivisionError
