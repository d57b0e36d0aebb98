"""Layers as they run once their stride has become a rate: padding of their own, dilated poolings.

Axes: B batch, C channels, H rows, W columns. Pads are (left, right, above, below), in cells, as
`torch.nn.functional.pad` takes them.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

Pads = tuple[int, int, int, int]


class Padding(Protocol):
    """How a layer pads, as a function of the size of its input."""

    def __call__(self, x: Tensor) -> Pads:
        """Return the pads for `x` (B, C, H, W)."""
        ...


@dataclass(frozen=True)
class FixedPadding:
    """The same pads for every input."""

    pads: Pads

    def __call__(self, x: Tensor) -> Pads:
        """Return the pads for `x` (B, C, H, W)."""
        return self.pads

    @property
    def is_even(self) -> bool:
        """Whether both sides of each axis get the same, which layers can do by themselves."""
        left, right, above, below = self.pads
        return left == right and above == below


@dataclass(frozen=True)
class SamePadding:
    """TensorFlow's "same": pads depend on the size that the input has at the layer's own stride.

    Attributes:
        kernel_size: Taps along (rows, columns).
        own_stride: The layer's stride as it was built.
        own_dilation: Its rate as it was built, along (rows, columns).
        stride: Its stride now.
        rate: By how much its rate was multiplied.
        lost: How many times denser its input is than it was built for.
    """

    kernel_size: tuple[int, int]
    own_stride: int
    own_dilation: tuple[int, int]
    stride: int
    rate: int
    lost: int

    def __call__(self, x: Tensor) -> Pads:
        """Return the pads for `x` (B, C, H, W)."""
        above, below = self._along(x.shape[-2], self.kernel_size[0], self.own_dilation[0])
        left, right = self._along(x.shape[-1], self.kernel_size[1], self.own_dilation[1])
        return (left, right, above, below)

    def _along(self, size: int, kernel_size: int, dilation: int) -> tuple[int, int]:
        reach = dilation * (kernel_size - 1)
        own_size = -(-size // self.lost)
        last = (-(-own_size // self.own_stride) - 1) * self.own_stride
        before = max(0, last + reach + 1 - own_size) // 2 * self.rate
        last = (-(-size // self.stride) - 1) * self.stride
        return before, max(0, last + reach * self.rate + 1 - size - before)


@dataclass(frozen=True)
class PadFirst:
    """Forward pre-hook: pad a layer's input with `value`."""

    padding: Padding
    value: float = 0.0

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the padded input (B, C, H, W)."""
        return F.pad(inputs[0], self.padding(inputs[0]), value=self.value)


class DilatedAvgPool2d(nn.AvgPool2d):
    """Average pooling with a rate, which `torch.nn.AvgPool2d` lacks.

    Attributes:
        dilation: Cells between neighbouring taps along (rows, columns).
        pads: How the input is padded.
    """

    dilation: tuple[int, int]
    pads: Padding

    def forward(self, input: Tensor) -> Tensor:
        """Return the mean of each window of `input` (B, C, H, W)."""
        pads = self.pads(input)
        total = self._window_sum(F.pad(input, pads))
        if self.divisor_override is not None:
            return total / self.divisor_override
        counted = input.new_ones(1, 1, *input.shape[-2:])
        inside = F.pad(counted, pads, value=1.0 if self.count_include_pad else 0.0)
        return total / self._window_sum(inside)

    def _window_sum(self, x: Tensor) -> Tensor:
        rows, columns = _pair(self.kernel_size)
        weight = x.new_ones(x.shape[1], 1, rows, columns)
        return F.conv2d(x, weight, stride=self.stride, dilation=self.dilation, groups=x.shape[1])


class DilatedBlurPool2d(nn.Module):
    """Blurring before subsampling (timm's `BlurPool2d`), with a rate.

    Attributes:
        dilation: Cells between neighbouring taps along (rows, columns).
        pads: How the input is padded, by reflection.
    """

    dilation: tuple[int, int]
    pads: Padding
    filt: Tensor
    stride: int | tuple[int, int]
    pad_mode: str

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (B, C, H, W) blurred."""
        channels = x.shape[1]
        weight = self.filt.expand(channels, -1, -1, -1)
        x = F.pad(x, self.pads(x), mode=self.pad_mode)
        return F.conv2d(x, weight, stride=self.stride, dilation=self.dilation, groups=channels)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
