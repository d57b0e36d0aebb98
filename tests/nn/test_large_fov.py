import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.nn import LargeFOV

VGG16_BODY = 14_714_688  # weights and biases of its 13 convolutions


@pytest.mark.parametrize(
    ("kernel_size", "rate", "size"),
    [(3, 12, (25, 30)), (3, 1, (2, 2)), (4, 4, (9, 7)), (7, 4, (13, 9))],
)
def test_it_is_three_layers_by_their_weights(kernel_size, rate, size):
    torch.manual_seed(0)
    pyramid = LargeFOV(5, 3, rate, kernel_size=kernel_size, channels=6).double().eval()
    weights = pyramid.state_dict()
    for tensor in weights.values():
        tensor.uniform_(-0.5, 0.5)
    x = torch.randn(2, 5, *size, dtype=torch.double)
    y, padding = x, rate * (kernel_size - 1) // 2
    for name, where in (("fc6", {"padding": padding, "dilation": rate}), ("fc7", {}), ("fc8", {})):
        y = F.conv2d(y, weights[f"layers.{name}.weight"], weights[f"layers.{name}.bias"], **where)
        y = y if name == "fc8" else y.clamp(min=0)
    assert y.shape == (2, 3, *size)
    assert (pyramid(x) - y).abs().max() < 1e-10


@pytest.mark.parametrize(
    ("kernel_size", "rate", "channels", "millions"),
    [(3, 12, 1024, 20.5), (4, 4, 4096, 65.1), (4, 8, 4096, 65.1), (7, 4, 4096, 134.3)],
)
def test_the_networks_of_the_paper_have_its_number_of_parameters(
    kernel_size, rate, channels, millions
):
    with torch.device("meta"):
        pyramid = LargeFOV(512, 21, rate, kernel_size=kernel_size, channels=channels)
    number = VGG16_BODY + sum(weight.numel() for weight in pyramid.parameters())
    assert number / 1e6 == pytest.approx(millions, abs=0.06)


def test_the_defaults_are_the_papers_choice():
    pyramid = LargeFOV(512, 21)
    assert (pyramid.rates, pyramid.kernel_size, pyramid.out_channels) == ((12,), 3, 21)
    assert pyramid.layers.fc6.out_channels == 1024
    dropouts = [layer.p for layer in pyramid.layers if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.5, 0.5]


def test_an_even_kernel_takes_even_rates_only():
    pyramid = LargeFOV(5, 3, 4, kernel_size=4, channels=6)
    with pytest.raises(ValueError, match="kernel_size 4 at rate 5 spans 16 cells"):
        pyramid.rates = (5,)
    assert pyramid.rates == (4,)
    assert pyramid(torch.zeros(1, 5, 6, 8)).shape == (1, 3, 6, 8)
    with pytest.raises(ValueError, match="kernel_size 4 at rate 1 spans 4 cells"):
        LargeFOV(5, 3, 1, kernel_size=4)


def test_the_first_logits_have_no_preference():
    torch.manual_seed(0)
    logits = LargeFOV(64, 21).eval()(torch.randn(1, 64, 13, 13))
    assert logits.abs().max() < 2
    assert not LargeFOV(5, 3, channels=6).layers.fc8.bias.any()
