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
