"""Atrous convolutions of one map side by side, with bias and ReLU: what a pyramid's branches are.

Axes: B batch, C channels in, D channels out of a branch, N branches, T taps of all branches, H
rows, W columns.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from atrous.kernels.tap_tiles import Kernel


def atrous_branches(
    x: Tensor, weight: Tensor, bias: Tensor, *, kernels: Sequence[Kernel], relu: bool = True
) -> Tensor:
    """Return the atrous convolutions of a map, each as large as the map, one after the other.

    In float16 and bfloat16 on CUDA it is one launch that computes no tap that falls on padding
    (figure 4 of arXiv:1706.05587 shows how many do), sums in float32, and writes each branch in its
    place. Elsewhere, and where a gradient is asked for, it is `plain_atrous_branches`.

    Args:
        x: Maps (B, C, H, W).
        weight: (T, C, D) in the type of x, made by `pack_weights`.
        bias: (1, N * D), or (B, N * D) for one of each image's own.
        kernels: The taps of the N branches, in the order of the weights.
        relu: Whether what is below 0 becomes 0.

    Returns:
        Maps (B, N * D, H, W), with the channels last in memory.

    Raises:
        ValueError: The shapes do not fit each other, or a kernel has no centre.

    Example:
        >>> x = torch.ones(1, 1, 3, 3)
        >>> weight = pack_weights([torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 3)])
        >>> kernels = [Kernel(1, 1, 1, 1), Kernel(3, 3, 2, 2)]
        >>> atrous_branches(x, weight, torch.zeros(1, 2), kernels=kernels)[0, :, 0]
        tensor([[1., 1., 1.],
                [4., 2., 4.]])
    """
    _check(x, weight, bias, kernels)
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (x, weight, bias))
    if learns or not _is_half_on_cuda(x.device, x.dtype):
        return plain_atrous_branches(x, weight, bias, kernels=kernels, relu=relu)
    return _live_taps(x, weight, bias, kernels=list(chain(*kernels)), relu=relu)


def plain_atrous_branches(
    x: Tensor, weight: Tensor, bias: Tensor, *, kernels: Sequence[Kernel], relu: bool = True
) -> Tensor:
    """Return what `atrous_branches` does, by torch's convolution; it is the reference.

    Example:
        >>> x, weight = torch.ones(1, 1, 1, 4), torch.ones(3, 1, 1)
        >>> plain_atrous_branches(x, weight, torch.zeros(1, 1), kernels=[Kernel(1, 3, 1, 1)])
        tensor([[[[2., 3., 3., 2.]]]])
    """
    maps = []
    for part, kernel in zip(weight.split([k.taps for k in kernels]), kernels, strict=True):
        rows, columns, *rates = kernel
        padding = rows // 2 * rates[0], columns // 2 * rates[1]
        dense = part.unflatten(0, (rows, columns)).permute(3, 2, 0, 1)
        maps.append(F.conv2d(x, dense, padding=padding, dilation=tuple(rates)))
    total = torch.cat(maps, dim=1) + bias[..., None, None]
    total = total.to(x.dtype).contiguous(memory_format=torch.channels_last)
    return total.relu() if relu else total


def pack_weights(weights: Sequence[Tensor]) -> Tensor:
    """Return kernels (D, C, rows, columns) as one matrix (C, D) for each tap, (T, C, D).

    Example:
        >>> pack_weights([torch.zeros(4, 8, 1, 1), torch.zeros(4, 8, 3, 3)]).shape
        torch.Size([10, 8, 4])
    """
    return torch.cat([weight.permute(2, 3, 1, 0).flatten(0, 1) for weight in weights])


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether `atrous_branches` leaves out padded taps there.

    Example:
        >>> has_kernel(torch.device("cpu"), torch.bfloat16)
        False
    """
    if not _is_half_on_cuda(device, dtype) or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)  # bfloat16 on matrix units


def _is_half_on_cuda(device: torch.device, dtype: torch.dtype) -> bool:
    return device.type == "cuda" and dtype in {torch.float16, torch.bfloat16}


# An operator of its own, so that torch.compile calls it and does not look inside.
@torch.library.custom_op("atrous::live_taps", mutates_args=())
def _live_taps(
    x: Tensor, weight: Tensor, bias: Tensor, *, kernels: Sequence[int], relu: bool
) -> Tensor:
    four = [Kernel(*kernels[start : start + 4]) for start in range(0, len(kernels), 4)]
    if not has_kernel(x.device, x.dtype):
        return plain_atrous_branches(x, weight, bias, kernels=four, relu=relu)
    from atrous.kernels.atrous_conv_cuda import convolve_live_taps

    out = _empty(x, bias)
    x = x.contiguous(memory_format=torch.channels_last)
    convolve_live_taps(x, weight.contiguous(), bias.contiguous(), out, kernels=four, relu=relu)
    return out


@_live_taps.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, *, kernels: Sequence[int], relu: bool) -> Tensor:
    return _empty(x, bias)


def _empty(x: Tensor, bias: Tensor) -> Tensor:
    shape = (x.shape[0], bias.shape[1], *x.shape[2:])
    last = torch.channels_last
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=last)


def _check(x: Tensor, weight: Tensor, bias: Tensor, kernels: Sequence[Kernel]) -> None:
    if any(number < 1 for kernel in kernels for number in kernel) or not all(
        kernel.rows % 2 and kernel.columns % 2 for kernel in kernels
    ):
        raise ValueError(f"expected odd kernels, and rates from 1 up, got {tuple(kernels)}")
    taps = sum(kernel.taps for kernel in kernels)
    shapes = (taps, x.shape[1]), len(kernels) * weight.shape[-1]
    fits = (weight.shape[:2], bias.shape[1]) == shapes and len(bias) in {1, len(x)}
    if not fits or x.ndim != 4 or 0 in x.shape or weight.dtype != x.dtype:
        raise ValueError(
            f"expected x (B, C, H, W), weight (T, C, D) of its type with T {taps}, and bias "
            f"(1 or B, N * D) with N {len(kernels)}; got {tuple(x.shape)} {x.dtype}, "
            f"{tuple(weight.shape)} {weight.dtype} and {tuple(bias.shape)}"
        )
