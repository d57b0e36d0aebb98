"""Small networks with weights that do something, and a photograph."""

import numpy as np
import pytest
import torch
from torch import nn

from atrous.models import create_model

CLASSES = ("sky", "<script>alert(1)</script>", "car")


@pytest.fixture(scope="session")
def shake():
    """Return what gives a network weights and statistics under which every branch speaks."""

    def _shake(network):
        generator = torch.Generator().manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight.data, module.running_var):
                    values.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(generator=generator)
                module.running_mean.normal_(generator=generator)
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                deviation = 1.0 if "classifier" in name else module.weight[0].numel() ** -0.5
                module.weight.data.normal_(std=deviation, generator=generator)
        return network

    return _shake


@pytest.fixture(scope="session")
def model(shake):
    """Return a small v3+ whose third class has a name that would break a careless page."""
    network = create_model(
        "deeplabv3plus", backbone="test_resnet", classes=CLASSES, channels=8, rates=(1, 2, 9)
    )
    return shake(network).eval()


@pytest.fixture(scope="session")
def photo():
    """Return a photograph, (48, 80, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
