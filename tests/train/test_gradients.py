import pytest
import torch
from torch import nn

from atrous.train.gradients import SharedGradients
from atrous.train.processes import World

PAIR = World(size=2)


class Network(nn.Module):
    """Three layers, one of them without a use."""

    def __init__(self):
        super().__init__()
        self.first, self.unused, self.last = nn.Linear(3, 4), nn.Linear(2, 2), nn.Linear(4, 1)

    def forward(self, x):
        return self.last(self.first(x))


@pytest.fixture
def sums(monkeypatch):
    """Let sums over processes be told, and double what is summed, as of two that are alike."""
    told = []

    def all_reduce(flat, async_op):
        assert async_op
        told.append(len(flat))
        flat *= 2
        return type("Work", (), {"wait": lambda self: None})()

    monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
    return told


@pytest.mark.parametrize(("group_bytes", "groups"), [(1, [1, 4, 4, 12]), (2**20, [21])])
def test_gradients_are_summed_in_groups_from_the_last_parameter_on(
    monkeypatch, sums, group_bytes, groups
):
    monkeypatch.setattr("atrous.train.gradients._GROUP_BYTES", group_bytes)
    network = Network()
    network(torch.ones(2, 3)).sum().backward()
    expected = {name: 3 * p.grad for name, p in network.named_parameters() if p.grad is not None}
    gradients = SharedGradients(network.parameters(), PAIR)
    network.zero_grad()
    for _ in range(2):  # the second time after a step that only accumulates
        network.zero_grad()
        network(torch.ones(2, 3)).sum().backward()
        assert not sums
        with gradients.summed():
            (0.5 * network(torch.ones(2, 3))).sum().backward()
        assert sums == groups
        sums.clear()
    for name, parameter in network.named_parameters():
        if name in expected:
            assert torch.equal(parameter.grad, expected[name])
        else:
            assert parameter.grad is None


def test_sums_begin_while_the_backward_pass_goes_on(monkeypatch, sums):
    monkeypatch.setattr("atrous.train.gradients._GROUP_BYTES", 1)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    gradients = SharedGradients(network.parameters(), PAIR)
    with gradients.summed():
        network(torch.ones(2, 3)).sum().backward()
        assert sums == [1, 4, 4, 12]


def test_layers_frozen_before_or_after_are_passed_over(monkeypatch, sums):
    monkeypatch.setattr("atrous.train.gradients._GROUP_BYTES", 1)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    network[0].requires_grad_(False)
    gradients = SharedGradients(network.parameters(), PAIR)
    network[1].requires_grad_(False)
    with gradients.summed():
        network(torch.ones(2, 3)).sum().backward()
    assert sums == [1, 4]
