import pytest
import torch
from torch import nn

from atrous.nn import consistency_error


def test_it_measures_what_does_not_follow():
    class Shift(nn.Module):
        """Moves a map by a cell, whatever its density."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.roll(1, dims=-1)

    def network(*more: nn.Module) -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.MaxPool2d(2), *more)

    assert consistency_error(network(), 8, reference=16) < 1e-6
    assert consistency_error(network(Shift()), 8, reference=16) > 0.01


def test_a_map_of_zeros_tells_nothing():
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.MaxPool2d(2))
    nn.init.zeros_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    with pytest.raises(ValueError, match="zero everywhere"):
        consistency_error(network, 8)
