import pytest
import torch
from torch import nn

from atrous.train.precision import fabric_precision, has_fast_bf16, speed_up_depthwise

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


class Wrapped(nn.Conv2d):
    """A convolution with steps of its own, as some of timm's that pad by the size."""

    def forward(self, input):
        return super().forward(input)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4, stride=2),
        nn.Conv2d(4, 4, 3, padding=9, groups=4, dilation=9),
        nn.Conv2d(4, 4, 5, padding="same", groups=4, dilation=2),
        nn.Conv2d(4, 8, 5, padding=2, groups=4),
        Wrapped(4, 4, 5, padding=2, groups=4),
    ],
)
def test_depthwise_convolutions_keep_their_values_and_names(conv):
    network = nn.Sequential(conv)
    x = torch.randn(1, 4, 9, 9)
    expected = network(x)
    speed_up_depthwise(network, CPU)
    torch.testing.assert_close(network(x), expected)
    assert list(network.state_dict()) == ["0.weight", "0.bias"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(x.bfloat16())
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("conv", "node"),
    [
        (nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False), "_DepthwiseConvBackward"),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), "ConvolutionBackward0"),
        (nn.Conv2d(4, 4, 3, padding=6, dilation=6, bias=False), "ConvolutionBackward0"),
    ],
)
def test_only_those_that_are_slow_are_changed(conv, node):
    network = nn.Sequential(conv)
    speed_up_depthwise(network, CPU)
    assert network(torch.randn(1, 4, 9, 9)).grad_fn.name() == node


def test_what_is_no_plain_depthwise_convolution_leaves_autocast():
    network = nn.Sequential(Wrapped(4, 4, 5, padding=2, groups=4))
    speed_up_depthwise(network, CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(torch.randn(1, 4, 9, 9).bfloat16()).dtype == torch.float32
