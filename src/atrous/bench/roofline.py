"""What this machine could do at best: matrix products, and the work that a network really needs."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from atrous.inspect.table import layer_table

_SIDES = (512, 1024, 2048)  # of square matrices; which is the fastest hangs on the caches
_SECONDS = 0.05  # that one measurement takes at least, beyond the clock's grain
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Product:
    """The fastest product of two square matrices, as often as takes long enough to time.

    Attributes:
        left: (N, N).
        right: (N, N).
        times: How often it is computed.
    """

    left: Tensor
    right: Tensor
    times: int

    @property
    def multiply_adds(self) -> int:
        """Of one call."""
        return self.times * len(self.left) ** 3

    def __call__(self) -> None:
        """Compute it."""
        for _ in range(self.times):
            torch.mm(self.left, self.right)


def fastest_product(precision: str, *, sides: Sequence[int] = _SIDES) -> Product:
    """Return the product that this machine is fastest at, of a few sizes.

    Example:
        >>> fastest_product("fp32", sides=[8]).left.shape
        torch.Size([8, 8])
    """
    trials = []
    for side in sides:
        left, right = torch.randn(2, side, side).to(TYPES[precision])
        seconds = min(_seconds(left, right) for _ in range(4))
        trials.append((side**3 / seconds, seconds, left, right))
    _, seconds, left, right = max(trials, key=lambda trial: trial[0])
    return Product(left, right, max(1, round(_SECONDS / seconds)))


def useful_multiply_adds(network: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Return the multiply-adds of a network, and those that are left without padding.

    Taps of a convolution that fall on its padding multiply zeros, which nobody needs to do: of a
    3x3 at rate 24 on 33x33 cells these are 73 % (arXiv:1706.05587, section 3.3).

    Args:
        network: It stays as it is.
        input_shape: Of what it is given, the batch first.

    Example:
        >>> useful_multiply_adds(nn.Conv2d(2, 5, 3, padding=1), (1, 2, 4, 4))
        (1440, 1000)
    """
    padded: list[int] = []

    def note(conv: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        padded.append(_padded_products(conv, inputs[0], output))

    copied = copy.deepcopy(network)
    for module in copied.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    every = layer_table(copied, input_shape).multiply_adds
    return every, every - sum(padded)


def _padded_products(conv: nn.Conv2d, x: Tensor, y: Tensor) -> int:
    rows, columns = (
        _taps_inside(conv, x.shape[2 + axis], y.shape[2 + axis], axis) for axis in (0, 1)
    )
    taps = conv.kernel_size[0] * conv.kernel_size[1] * y.shape[2] * y.shape[3]
    return len(x) * conv.out_channels * conv.in_channels // conv.groups * (taps - rows * columns)


def _taps_inside(conv: nn.Conv2d, cells: int, results: int, axis: int) -> int:
    """Count the taps that fall on one of the cells along an axis, over all results."""
    rate, stride, taps = conv.dilation[axis], conv.stride[axis], conv.kernel_size[axis]
    if isinstance(conv.padding, str):
        before = rate * (taps - 1) // 2 if conv.padding == "same" else 0
    else:
        before = conv.padding[axis]
    read = np.arange(results)[:, None] * stride - before + np.arange(taps) * rate
    return int(((read >= 0) & (read < cells)).sum())


def _seconds(left: Tensor, right: Tensor) -> float:
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started
