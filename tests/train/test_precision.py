import pytest
import torch
from torch import nn

from atrous.train.precision import fabric_precision, has_fast_bf16, spare_slow_convolutions

CPU = torch.device("cpu")


def test_the_words_for_lightning(monkeypatch):
    assert fabric_precision("fp32", CPU) == "32-true"
    assert fabric_precision("bf16", CPU) == "bf16-mixed"
    monkeypatch.setattr("atrous.train.precision.has_fast_bf16", lambda device: True)
    assert fabric_precision("auto", CPU) == "bf16-mixed"
    monkeypatch.setattr("atrous.train.precision.has_fast_bf16", lambda device: False)
    assert fabric_precision("auto", CPU) == "32-true"


def test_bf16_on_the_cpu_needs_the_matrix_unit(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert has_fast_bf16(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    assert not has_fast_bf16(CPU)


@pytest.mark.parametrize(
    ("conv", "spared"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, stride=2), True),
        (nn.Conv2d(4, 4, 3, padding=6, groups=4, dilation=6), True),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4), True),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), False),
        (nn.Conv2d(4, 4, 3, padding=6, dilation=6), False),
    ],
)
def test_slow_convolutions_leave_autocast(conv, spared):
    network = nn.Sequential(conv)
    x = torch.randn(1, 4, 9, 9)
    expected = network(x)
    spare_slow_convolutions(network, CPU)
    assert torch.equal(network(x), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = network(x.bfloat16())
    assert y.dtype == (torch.float32 if spared else torch.bfloat16)
    assert list(network.state_dict()) == ["0.weight", "0.bias"]
