"""The networks of the folder above, pictures for them, and a cache of this test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from atrous.models import SegmentationModel, create_model
from tests.fast.conftest import settle


@pytest.fixture
def make() -> Callable[..., SegmentationModel]:
    def build(architecture: str = "deeplabv3", **keywords: Any) -> SegmentationModel:
        torch.manual_seed(0)
        settings = {"backbone": "test_resnet", "num_classes": 3, **keywords}
        model = create_model(architecture, **settings)
        settle(model)
        return model

    return build


@pytest.fixture
def images() -> Tensor:
    """(2, 41, 57, 3) uint8."""
    shape = (2, 41, 57, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "engines.json"
