import pytest
import torch
from torch import nn

from atrous.train.ema import AveragedWeights


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def _change(model, seed):
    torch.manual_seed(seed)
    model.train()(torch.randn(4, 2, 3, 3))  # moves the statistics
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_it_is_the_average_by_its_formula():
    model = _network()
    ours = AveragedWeights(model, decay=0.3)
    expected = {key: tensor.double() for key, tensor in model.state_dict().items()}
    for step in range(1, 6):
        _change(model, step)
        ours.update(model, step)
        kept = min(0.3, (1 + step) / (10 + step))
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[key] = kept * expected[key] + (1 - kept) * tensor.double()
    for key, tensor in ours.state.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor.double(), expected[key], atol=1e-6)
    assert ours.state["1.num_batches_tracked"] == 5


def test_of_weights_that_stand_still_it_is_those_weights():
    model = _network()
    ours = AveragedWeights(model, decay=0.9)
    for step in range(1, 4):
        ours.update(model, step)
    assert all(torch.equal(ours.state[key], t) for key, t in model.state_dict().items())


def test_inside_the_model_has_the_average_and_then_its_own_again():
    model = _network()
    ours = AveragedWeights(model, decay=0.9)
    _change(model, 1)
    ours.update(model, 1)
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    average = {key: tensor.clone() for key, tensor in ours.state.items()}

    def stopped_inside():
        with ours.in_place_of(model):
            assert all(torch.equal(average[key], t) for key, t in model.state_dict().items())
            assert not torch.equal(own["0.weight"], model[0].weight)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stopped_inside()
    assert all(torch.equal(own[key], t) for key, t in model.state_dict().items())
    assert all(torch.equal(average[key], t) for key, t in ours.state.items())


def test_a_saved_one_goes_on():
    model = _network()
    first, second = AveragedWeights(model, decay=0.5), AveragedWeights(model, decay=0.5)
    _change(model, 1)
    first.update(model, 1)
    second.load(first.state)
    _change(model, 2)
    for average in (first, second):
        average.update(model, 2)
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
