import pytest
import torch
from torch.nn import functional as F

from atrous.kernels.depthwise_conv_cpu import weight_gradient

# Taps, stride, padding, dilation: a stride and a rate together, and all pairs unequal.
GEOMETRIES = [
    ((3, 3), (2, 2), (2, 2), (2, 2)),
    ((5, 3), (1, 3), (2, 0), (1, 2)),
    ((1, 5), (2, 1), (0, 8), (3, 2)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("taps", "stride", "padding", "dilation"), GEOMETRIES)
def test_it_is_the_gradient_of_the_weight(taps, stride, padding, dilation, dtype):
    torch.manual_seed(0)
    x = torch.randn(2, 40, 13, 11).to(dtype)
    weight = torch.zeros(40, 1, *taps, requires_grad=True)
    y = F.conv2d(x.float(), weight, None, stride, padding, dilation, groups=40)
    gradient = torch.randn(y.shape).to(dtype)
    y.backward(gradient.float())
    found = weight_gradient(x, gradient, taps, stride=stride, padding=padding, dilation=dilation)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, weight.grad, rtol=1e-5, atol=1e-4)


def test_views_of_other_tensors_do(monkeypatch):
    torch.manual_seed(0)
    whole = torch.randn(2, 6, 9, 18)
    geometry = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    view, gradient = whole[:, ::2, :, 1::2], torch.randn(1, 1, 9, 9).expand(2, 3, 9, 9)
    expected = weight_gradient(view.contiguous(), gradient.contiguous(), (3, 3), **geometry)
    assert torch.equal(weight_gradient(view, gradient, (3, 3), **geometry), expected)
