"""One small network, its file, and a way to forge files like it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from atrous.models import SegmentationModel, create_model
from atrous.weights import save_model
from atrous.weights.model_file import digest

Forge = Callable[..., Path]


@pytest.fixture(scope="session")
def model() -> SegmentationModel:
    """A network no number of which is that of its beginning."""
    torch.manual_seed(0)
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        classes=("sky", "road", "tree"),
        palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        output_stride=8,
        rates=(1, 2),
        separable=True,
        dropout=0.25,
    )
    model.train()(torch.randn(2, 3, 65, 65))
    return model.eval()


@pytest.fixture(scope="session")
def file(model: SegmentationModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    return save_model(model, path, training={"mean_iou": 0.5}, license="Apache-2.0")


@pytest.fixture
def forge(file: Path, tmp_path: Path) -> Forge:
    """Write a file that differs from `file`; its SHA-256 is right unless `sha256` is given."""

    def write(
        *,
        tensors: dict[str, Tensor | None] | None = None,
        sha256: str | None = None,
        without: str = "",
        **metadata: Any,
    ) -> Path:
        with safe_open(file, framework="pt") as opened:
            facts = json.loads(opened.metadata()["atrous"])
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        changed = {
            key: tensor for key, tensor in (state | (tensors or {})).items() if tensor is not None
        }
        facts |= {"sha256": sha256 or digest(changed), **metadata}
        facts.pop(without, None)
        path = tmp_path / "forged.safetensors"
        save_file(changed, path, metadata={"atrous": json.dumps(facts)})
        return path

    return write
