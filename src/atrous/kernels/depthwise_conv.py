"""Depthwise convolution that is fast on the CPU at any rate, and its gradients at any stride.

Axes: B images, C channels, H rows, W columns; h, w of the output.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from atrous.kernels.polyphase import join_phases, split_phases

Pair = tuple[int, int]

WIDE = 7
"""Cells of padding from which oneDNN takes ten to thirty times as long."""


def depthwise_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """Return a convolution of each channel by a kernel of its own.

    The values are those of `plain_depthwise_conv2d`; so are the gradients, but for rounding: in
    bfloat16 sums are kept in float32. oneDNN, which torch computes with, has no fast way for the
    gradients of a rate, a stride or 5x5 taps, which take up to twenty times as long as the
    convolution; nor for the convolution itself where much padding goes with a large rate.

    Args:
        input: (B, C, H, W) float32 or bfloat16; other types and other devices are left to the
            plain way. Under autocast it is brought to that type.
        weight: (C, 1, kh, kw).
        bias: (C,), or None.
        stride: Rows and columns from one output cell to the next.
        padding: Rows and columns of zeros on each side.
        dilation: The rates of the rows and columns.

    Returns:
        (B, C, h, w).

    Example:
        >>> x, w = torch.ones(1, 2, 5, 5, requires_grad=True), torch.ones(2, 1, 3, 3)
        >>> y = depthwise_conv2d(x, w, padding=(2, 2), dilation=(2, 2))
        >>> y.shape, y.detach().max().item()
        (torch.Size([1, 2, 5, 5]), 9.0)
    """
    if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        input = input.to(torch.get_autocast_dtype("cpu"))
    reach = _reach(weight, dilation)
    able = input.dtype in (torch.float32, torch.bfloat16) and input.numel() > 0
    if (
        input.device.type != "cpu"
        or not able
        or any(pad > far for pad, far in zip(padding, reach, strict=True))
    ):
        return plain_depthwise_conv2d(
            input, weight, bias, stride=stride, padding=padding, dilation=dilation
        )
    with torch.autocast("cpu", enabled=False):
        if not torch.is_grad_enabled():
            bias = None if bias is None else bias.to(input.dtype)
            weight = weight.to(input.dtype)
            return _convolved(input, weight, bias, stride=stride, padding=padding, rates=dilation)
        found = _DepthwiseConv.apply(input, weight, stride, padding, dilation)
        return found if bias is None else found + bias.to(found.dtype)[:, None, None]


def plain_depthwise_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """Return what `depthwise_conv2d` does, with torch's own gradients.

    Example:
        >>> plain_depthwise_conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).item()
        9.0
    """
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups=len(weight))


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, input: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.dilation = stride, padding, dilation
        weight = weight.to(input.dtype)
        return _convolved(input, weight, None, stride=stride, padding=padding, rates=dilation)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride], as it is decorated
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        geometry = {"stride": ctx.stride, "padding": ctx.padding, "dilation": ctx.dilation}
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = _input_gradient(gradients[0], weight, tuple(input.shape[2:]), **geometry)
        if ctx.needs_input_grad[1]:
            from atrous.kernels.depthwise_conv_cpu import weight_gradient

            taps = (weight.shape[2], weight.shape[3])
            of_weight = weight_gradient(input, gradients[0], taps, **geometry).to(weight.dtype)
        return of_input, of_weight, None, None, None


def _input_gradient(
    gradient: Tensor, weight: Tensor, size: Pair, *, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return the gradient of the input (B, C, *size): a convolution by the kernel turned round.

    What a stride skipped is zeros. The forward convolution has fast ways where torch's own
    gradient of it has none.
    """
    reach = _reach(weight, dilation)
    rows, columns = (
        cells + 2 * pad - far for cells, pad, far in zip(size, padding, reach, strict=True)
    )
    if stride != (1, 1) or gradient.shape[2:] != (rows, columns):
        batch, channels = gradient.shape[:2]
        spread = gradient.new_zeros((batch, rows, columns, channels)).permute(0, 3, 1, 2)
        spread[:, :, :: stride[0], :: stride[1]] = gradient
        gradient = spread
    turned = weight.to(gradient.dtype).flip(2, 3)
    left = (reach[0] - padding[0], reach[1] - padding[1])
    return _convolved(gradient, turned, None, stride=(1, 1), padding=left, rates=dilation)


def _reach(weight: Tensor, dilation: Pair) -> Pair:
    """Return how far the first tap of a kernel is from its last one."""
    return (weight.shape[2] - 1) * dilation[0], (weight.shape[3] - 1) * dilation[1]


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: Pair, padding: Pair, rates: Pair
) -> Tensor:
    """Return the convolution, where it pays on the input's sub-maps, by a kernel without holes."""
    aligned = all(pad % rate == 0 for pad, rate in zip(padding, rates, strict=True))
    if max(padding) < WIDE or max(rates) == 1 or stride != (1, 1) or not aligned:
        return F.conv2d(x, weight, bias, stride, padding, rates, groups=len(weight))
    rows, columns = (
        cells + 2 * pad - far
        for cells, pad, far in zip(x.shape[2:], padding, _reach(weight, rates), strict=True)
    )
    inner = (padding[0] // rates[0], padding[1] // rates[1])
    found = F.conv2d(split_phases(x, rates), weight, bias, 1, inner, 1, groups=len(weight))
    return join_phases(found, rates)[:, :, :rows, :columns]
