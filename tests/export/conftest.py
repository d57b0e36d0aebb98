from collections.abc import Callable

import numpy as np
import pytest
import torch

from atrous.models import SegmentationModel, create_model


@pytest.fixture
def model() -> SegmentationModel:
    """A small network whose classes all occur."""
    torch.manual_seed(0)
    return create_model(
        "deeplabv3", backbone="test_resnet", channels=16, classes=("sky", "road", "car")
    ).eval()


@pytest.fixture
def images() -> list[np.ndarray]:
    """Noise, (65, 65, 3) uint8."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (65, 65, 3), dtype=np.uint8) for _ in range(2)]


@pytest.fixture
def harm() -> Callable[[SegmentationModel], None]:
    """Scale a channel up, and what reads it down: the same logits, and a range too wide for 8 bits.

    Only `backbone.network.layer4.0.conv2` reads that map.
    """

    def scale(model: SegmentationModel) -> None:
        block = model.backbone.network.layer4[0]
        with torch.no_grad():
            block.bn1.weight[0] *= 1000
            block.bn1.bias[0] *= 1000
            block.conv2.weight[:, 0] /= 1000

    return scale
