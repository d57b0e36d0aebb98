import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.std_conv import StdConv2d
from torch import nn

from atrous.fast.folding import can_fold, fold_norm, rest_of


def norm_of(kind, channels):
    norm = kind(channels).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.2, 3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 6])
def test_folded_is_the_norm_of_the_convolution(bias, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=groups, bias=bias)
    norm, x = norm_of(nn.BatchNorm2d, 12), torch.randn(2, 6, 9, 8)
    before = conv.weight.clone()
    folded = fold_norm(conv, norm)
    torch.testing.assert_close(folded(x), norm(conv(x)), atol=1e-5, rtol=1e-5)
    assert torch.equal(conv.weight, before)


def test_a_norm_with_activation_leaves_the_activation():
    torch.manual_seed(0)
    conv, norm, x = (
        Conv2dSame(3, 8, 3, stride=2),
        norm_of(BatchNormAct2d, 8),
        torch.randn(1, 3, 8, 9),
    )
    result = rest_of(norm)(fold_norm(conv, norm)(x))
    torch.testing.assert_close(result, norm(conv(x)), atol=1e-5, rtol=1e-5)
    assert result.min() == 0


def test_a_norm_without_scale_folds():
    conv, norm, x = (
        nn.Conv2d(3, 8, 1),
        nn.BatchNorm2d(8, affine=False).eval(),
        torch.randn(1, 3, 4, 4),
    )
    norm.running_mean.normal_()
    torch.testing.assert_close(fold_norm(conv, norm)(x), norm(conv(x)), atol=1e-5, rtol=1e-5)


def test_what_cannot_be_folded_is_known():
    conv, norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
    assert can_fold(conv, norm)
    assert not can_fold(StdConv2d(3, 8, 1), norm)  # it convolves with other weights than it holds
    assert not can_fold(conv, nn.BatchNorm2d(8, track_running_stats=False))
    conv.register_forward_hook(lambda *_: None)
    assert not can_fold(conv, norm)
