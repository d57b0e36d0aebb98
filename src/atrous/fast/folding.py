"""Batch norm folded into the convolution before it.

In eval mode both are linear, and so is the one after the other:

    g (w * x + b - m) / sqrt(v + e) + c  =  (s w) * x + (s (b - m) + c),    s = g / sqrt(v + e)

with the norm's mean m, variance v, scale g and shift c.
"""

import copy

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

# Others, such as those that standardize their weights, do not convolve with the weight they hold.
_PLAIN = (nn.Conv2d, Conv2dSame)


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution that computes what `norm` makes of `conv` in eval mode.

    Example:
        >>> conv, norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8).eval()
        >>> x = torch.randn(1, 3, 9, 9)
        >>> torch.allclose(fold_norm(conv, norm)(x), norm(conv(x)), atol=1e-5)
        True
    """
    scale, shift = _scale_and_shift(norm)
    bias = torch.zeros_like(shift) if conv.bias is None else conv.bias.double()
    folded = copy.deepcopy(conv)
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    folded.weight = _frozen(weight, conv.weight)
    folded.bias = _frozen(bias * scale + shift, conv.weight)
    return folded


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Return whether the two are known to be linear, with nobody listening between them."""
    listening = (conv._forward_hooks, norm._forward_hooks, norm._forward_pre_hooks)
    known = type(conv) in _PLAIN and isinstance(norm, nn.BatchNorm2d)
    return known and norm.running_var is not None and not any(listening)


def rest_of(norm: nn.Module) -> nn.Module:
    """Return what is left of a norm once it is folded: the activation, where it has one (timm)."""
    return getattr(norm, "act", None) or nn.Identity()


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the norm as x * scale + shift, in float64, which loses nothing on the way."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded; train it first")
    gain = 1.0 if norm.weight is None else norm.weight.double()
    scale = gain / (variance.double() + norm.eps).sqrt()
    offset = 0.0 if norm.bias is None else norm.bias.double()
    return scale, offset - mean.double() * scale


def _frozen(values: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().to(like.dtype), requires_grad=False)
