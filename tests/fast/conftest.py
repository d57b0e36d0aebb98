"""Networks no number of which is that of their beginning, so that a lost statistic would show."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from atrous.models import SegmentationModel, create_model


def settle(network: nn.Module) -> nn.Module:
    """Give the batch norms statistics, scales and shifts of their own, and go to eval mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return network.eval()


@pytest.fixture
def make() -> Callable[..., SegmentationModel]:
    def build(architecture: str, **keywords: Any) -> SegmentationModel:
        torch.manual_seed(0)
        settings = {"backbone": "test_resnet", "num_classes": 3, **keywords}
        return settle(create_model(architecture, **settings))

    return build
