"""A small network with its file, and what a comparison of three ways found."""

import pytest
import torch

from atrous.bench import Choice, Comparison, Row
from atrous.models import create_model
from atrous.weights import save_model


@pytest.fixture(scope="session")
def small():
    torch.manual_seed(0)
    return create_model("deeplabv3", backbone="test_efficientnet", num_classes=3).eval()


@pytest.fixture(scope="session")
def small_file(small, tmp_path_factory):
    return str(save_model(small, tmp_path_factory.mktemp("models") / "small.safetensors"))


@pytest.fixture
def found():
    return Comparison(
        choice=Choice(model="street", size=(360, 480), rounds=3, against=("torchvision",)),
        network="deeplabv3, resnet50, output stride 8",
        pictures="3 photographs",
        rows=(
            Row("torchvision eager fp32", 0.4, 1.0, 1.0, 1.0, 1.0, 2e-6, 0.5),
            Row("atrous torch fp32", 0.39, 1.02, 0.9, 1.1, 1.0, 1e-6, 0.5),
            Row("atrous openvino bf16", 0.05, 8.0, 7.5, 8.4, 0.98765, None, 0.254),
        ),
        skipped={"smp eager fp32": "smp has no <lraspp>"},
        machine={"processor": "Abacus <1>", "cores": 2, "threads": 2, "load": 1.0},
        gigaflops={"bf16": 1700.0, "fp32": 150.0},
        multiply_adds=2_000_000_000,
        useful_multiply_adds=1_500_000_000,
        largest_logit=7.26,
    )
