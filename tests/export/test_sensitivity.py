import numpy as np
import pytest
import torch

from atrous.export.sensitivity import sensitivities
from tests.fast.conftest import settle

HARMED = "backbone.network.layer4.0.conv2"


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
def test_a_layer_that_8_bits_harm_comes_first_and_the_network_stays(model, images, harm):
    before = sensitivities(settle(model), images)
    assert before[HARMED] < 0.01
    harm(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = sensitivities(model, images)
    assert next(iter(found)) == HARMED
    assert found[HARMED] > 20 * before[HARMED]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert {"classifier", "pyramid.project.maps", "pyramid.project.image"} <= set(found)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
def test_a_map_of_one_value_is_no_error(model):
    found = sensitivities(model, [np.zeros((33, 33, 3), dtype=np.uint8)])
    assert found[HARMED] >= 0
