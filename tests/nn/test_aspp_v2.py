import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import ASPPv2, LargeFOV

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")


@pytest.mark.parametrize("rates", [(6, 12, 18, 24), (2, 4, 8, 12), (1,)])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (26, 30)])
def test_it_is_the_sum_of_its_classifiers(rates, size):
    torch.manual_seed(0)
    pyramid = ASPPv2(5, 3, rates).double().eval()
    weights = pyramid.state_dict()
    for tensor in weights.values():
        tensor.uniform_(-0.5, 0.5)
    x = torch.randn(2, 5, *size, dtype=torch.double)

    def branch(k: int, rate: int) -> Tensor:
        weight, bias = weights[f"branches.{k}.weight"], weights[f"branches.{k}.bias"]
        return F.conv2d(x, weight, bias, padding=rate, dilation=rate)

    expected = sum(branch(k, rate) for k, rate in enumerate(rates))
    assert (pyramid(x) - expected).abs().max() < 1e-10


def test_with_channels_it_is_the_sum_of_large_fields_of_view():
    torch.manual_seed(0)
    pyramid = ASPPv2(5, 3, (2, 4), channels=6).double().eval()
    x = torch.randn(2, 5, 9, 11, dtype=torch.double)
    expected = torch.zeros(2, 3, 9, 11, dtype=torch.double)
    for k, rate in enumerate(pyramid.rates):
        field = LargeFOV(5, 3, rate, channels=6).double().eval()
        field.layers.load_state_dict(pyramid.branches[k].state_dict())
        expected += field(x)
    assert (pyramid(x) - expected).abs().max() < 1e-12


def test_the_rates_of_the_paper_are_the_defaults():
    pyramid = ASPPv2(2048, 21)
    assert pyramid.rates == (6, 12, 18, 24)
    assert pyramid.out_channels == 21
    convs = [module for module in pyramid.modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.kernel_size, conv.dilation[0]) for conv in convs] == [
        ((3, 3), rate) for rate in pyramid.rates
    ]
    assert sum(weight.numel() for weight in pyramid.parameters()) == 4 * (2048 * 9 * 21 + 21)


def test_hidden_values_are_dropped_in_training_only():
    pyramid = ASPPv2(5, 3, (1, 2), channels=64)
    x = torch.randn(1, 5, 6, 6)
    assert not torch.equal(pyramid.train()(x), pyramid(x))
    assert torch.equal(pyramid.eval()(x), pyramid(x))
