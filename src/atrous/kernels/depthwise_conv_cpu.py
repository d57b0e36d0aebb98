"""The gradient of a depthwise kernel on the CPU, compiled by numba.

Each channel is a plane of its own, flattened, its padding written out; the gradient of the output
lies in a plane of the same pitch, the columns that a stride skips, and those beyond its last, being
zeros. Then the gradient of each tap is one inner product of the two, shifted against each other.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from atrous.kernels.compiled import compiled, run_in_threads

Pair = tuple[int, int]

_CHANNELS = 32  # planes at once: 64 bytes of bfloat16, which the processor fetches together
_PLANES = 1 << 18  # numbers that they have at most, where the planes are large: a second cache full


def weight_gradient(
    input: Tensor, gradient: Tensor, taps: Pair, *, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return the gradient of the weight of a depthwise convolution.

    The same numbers come whatever the number of threads.

    Args:
        input: (B, C, H, W) float32 or bfloat16 on the CPU.
        gradient: (B, C, h, w) of the output, of the same type.
        taps: Rows and columns of the kernel.
        stride: As in the convolution, all pairs of rows and columns.
        padding: At most `dilation * (taps - 1)`.
        dilation: The rates.

    Returns:
        (C, 1, *taps) float32.

    Example:
        >>> x, g = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
        >>> weight_gradient(x, g, (3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1)).int()
        tensor([[[[4, 6, 4],
                  [6, 9, 6],
                  [4, 6, 4]]]], dtype=torch.int32)
    """
    batch, channels, rows, columns = input.shape
    plane = (rows + 2 * padding[0]) * (columns + 2 * padding[1])
    block = max(1, min(_CHANNELS, _PLANES // plane))
    shift = np.uint32(16 if input.dtype == torch.bfloat16 else 0)
    found = np.empty((batch, channels, *taps), np.float32)
    blocks = [slice(first, first + block) for first in range(0, channels, block)]
    geometry = (stride, padding, dilation)
    jobs = [
        (images[..., some], gradients[..., some], shift, geometry, products[some])
        for images, gradients, products in zip(_bits(input), _bits(gradient), found, strict=True)
        for some in blocks
    ]
    run_in_threads(_correlate, jobs, torch.get_num_threads())
    return torch.from_numpy(found.sum(axis=0)[:, None])


def _bits(values: Tensor) -> Any:
    """Return numbers as unsigned integers (B, H, W, C), as numba knows no bfloat16."""
    values = values.detach().permute(0, 2, 3, 1)
    if values.dtype == torch.bfloat16:
        return values.view(torch.int16).numpy().view(np.uint16)
    return values.numpy().view(np.uint32)


@compiled
def _spread(image, shift, planes, first, steps):  # noqa: PLR0917
    """Write the channels of an image (H, W, n) into planes (n, length), from `first` on."""
    height, width, channels = image.shape
    down, right = steps
    for y in range(height):
        start = first + y * down
        for c in range(channels):
            for x in range(width):
                planes[c, start + x * right] = np.uint32(image[y, x, c]) << shift


@compiled(any_order=True)
def _inner_product(a, b):
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
def _correlate(image, gradient, shift, geometry, found):  # noqa: PLR0917
    """Write the gradients of the taps (n, kh, kw) of some channels of one image.

    Args:
        image: (H, W, n) bits.
        gradient: (h, w, n) bits.
        shift: What makes bits those of float32.
        geometry: Stride, padding and dilation, all pairs of rows and columns.
        found: Receives the gradients.
    """
    height, width, channels = image.shape
    stride, padding, dilation = geometry
    pitch = width + 2 * padding[1]
    steps = (stride[0] * pitch, stride[1])
    length = (gradient.shape[0] - 1) * steps[0] + (gradient.shape[1] - 1) * steps[1] + 1
    padded = np.zeros((channels, (height + 2 * padding[0]) * pitch), np.uint32)
    spread = np.zeros((channels, length), np.uint32)
    _spread(image, shift, padded, padding[0] * pitch + padding[1], (pitch, 1))
    _spread(gradient, shift, spread, 0, steps)
    values, gradients = padded.view(np.float32), spread.view(np.float32)
    for c in range(channels):
        for row in range(found.shape[1]):
            for column in range(found.shape[2]):
                start = row * dilation[0] * pitch + column * dilation[1]
                found[c, row, column] = _inner_product(
                    gradients[c], values[c, start : start + length]
                )
