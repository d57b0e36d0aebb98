import copy

import pytest
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.fast import optimize
from atrous.fast.engines.torch_engine import OptimizedEngine, TorchEngine, eval_mode

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", [TorchEngine, OptimizedEngine])
def test_a_model_in_training_stays_there_and_its_norms_learn_nothing(make, images, kind):
    model = make().train()
    before = copy.deepcopy(model.state_dict())
    expected = kind(make(), device=CPU)(images)
    assert torch.equal(kind(model, device=CPU)(images), expected)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("kind", [TorchEngine, OptimizedEngine])
def test_autocast_around_it_changes_nothing(make, images, kind):
    engine = kind(make(), device=CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = engine(images)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, engine(images))


def test_the_network_itself_shows_what_is_done_to_it(make, images):
    model = make()
    engine, fixed = TorchEngine(model, device=CPU), OptimizedEngine(model, device=CPU)
    before = engine(images), fixed(images)
    with torch.no_grad():
        model.classifier.bias += 1
    torch.testing.assert_close(engine(images), before[0] + 1, rtol=1e-5, atol=1e-5)
    assert torch.equal(fixed(images), before[1])


def test_what_is_optimized_is_taken_as_it_is(make, images):
    fast = optimize(make(), precision="bf16")
    engine = OptimizedEngine(fast, device=CPU)
    assert engine.model is fast
    assert engine.precision == "bf16"
    assert torch.equal(engine(images), fast.coarse_logits(images))
    assert torch.equal(TorchEngine(fast, device=CPU)(images), engine(images))
    with pytest.raises(UsageError, match="is optimized already; for another precision"):
        OptimizedEngine(optimize(make()), device=CPU, precision="bf16")


def test_compiled_is_handed_to_torch(make, images, monkeypatch):
    handed = []
    monkeypatch.setattr(torch, "compile", lambda run, **how: handed.append(run) or run)
    engine = OptimizedEngine(make(), device=CPU, compiled=True)
    assert engine(images).shape == (2, 3, 3, 4)
    assert engine.name == "compiled"
    assert len(handed) == 1


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
