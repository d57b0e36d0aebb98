import torch
from torch import nn

from atrous.fast.trace import trace


class Branching(nn.Module):
    """A convolution whose result is read by a norm, and by an addition beside it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


class Twice(Branching):
    """One convolution before two norms, as one kernel at several rates has."""

    def forward(self, x):
        return self.norm(self.conv(self.norm(self.conv(x))))


class Two(Branching):
    def __init__(self):
        super().__init__()
        self.other = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.conv(x)) + self.other(self.conv(x))


def seen(network):
    return trace(network.eval(), (1, 3, 8, 12))


def test_a_result_that_others_read_too_is_no_pair():
    assert seen(Branching()).pairs == {}


def test_a_pair_that_runs_twice_is_one():
    assert seen(Twice()).pairs == {"norm": "conv"}


def test_a_convolution_before_two_norms_is_no_pair():
    assert seen(Two()).pairs == {}


def test_an_activation_between_is_no_pair():
    assert seen(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))).pairs == {}


def test_sizes_are_those_that_come_in():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 1))
    assert seen(network).sizes == {"0": (8, 12), "1": (4, 6)}


def test_the_network_stays_as_it_is():
    network = Branching().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    seen(network)
    assert not network.conv._forward_hooks
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
