import pytest
import torch
from torch import nn

from atrous.fast import optimize
from atrous.fast.sub_maps import OnSubMaps, gains_on_sub_maps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "rate"), [(3, 7), (3, (12, 4)), (5, 4), (3, 40)])
@torch.inference_mode()
def test_it_is_the_convolution(kernel, rate, dtype):
    rates = rate if isinstance(rate, tuple) else (rate, rate)
    padding = tuple(one * (kernel // 2) for one in rates)
    conv = nn.Conv2d(6, 6, kernel, padding=padding, dilation=rates, groups=6).to(dtype)
    assert gains_on_sub_maps(conv)
    for size in ((1, 6, 19, 23), (2, 6, 24, 36)):
        x = torch.randn(size, dtype=dtype)
        expected, close = conv(x), 1e-5 if dtype == torch.float32 else 0.02
        torch.testing.assert_close(OnSubMaps(conv)(x), expected, rtol=close, atol=close)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(6, 6, 3, padding=6, dilation=6, groups=6),
        nn.Conv2d(6, 6, 3, padding=7, dilation=7),
        nn.Conv2d(6, 12, 3, padding=7, dilation=7, groups=6),
        nn.Conv2d(6, 6, 3, padding=7, dilation=7, groups=6, stride=2),
        nn.Conv2d(6, 6, 15, padding=7, groups=6),
        nn.Identity(),
    ],
)
def test_others_gain_nothing(conv):
    assert not gains_on_sub_maps(conv)


def test_a_separable_pyramid_is_rewritten(make):
    fast = optimize(make("deeplabv3plus", separable=True, rates=(6, 12, 18)))
    assert sum(isinstance(module, OnSubMaps) for module in fast.modules()) == 2


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_programs_have_the_convolution_as_it_was():
    conv = OnSubMaps(nn.Conv2d(6, 6, 3, padding=9, dilation=9, groups=6).requires_grad_(False))
    traced = torch.jit.trace(conv, torch.randn(1, 6, 20, 20))
    kinds = [node.kind() for node in traced.inlined_graph.nodes()]
    assert kinds.count("aten::_convolution") == 1
    assert "aten::permute" not in kinds
    exported = torch.export.export(conv, (torch.randn(1, 6, 20, 20),))
    assert "permute" not in str(exported.graph)
