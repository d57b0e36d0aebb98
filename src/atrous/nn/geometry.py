"""The arithmetic of atrous convolution, without tensors.

All lengths along a feature map are in its cells; only strides and receptive fields, which relate a
map to the image, are in image pixels.

Papers: Chen et al. 2016, "DeepLab", arXiv:1606.00915, section 3.1 (effective kernel, field of
view); Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.1 (output
stride), section 3.3 and figure 4 (weights that are left as the rate grows).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

RATES_AT_STRIDE_16 = (6, 12, 18)  # arXiv:1706.05587, section 3.3


def effective_kernel(kernel_size: int, rate: int) -> int:
    """Return the cells that a kernel spans when `rate - 1` holes lie between its taps.

    Example:
        >>> effective_kernel(3, 12)
        25
    """
    return kernel_size + (kernel_size - 1) * (rate - 1)


def same_padding(kernel_size: int, rate: int) -> int:
    """Return the padding on each side that keeps a map's size at stride 1: the rate, for a 3x3.

    Raises:
        ValueError: The effective kernel is even, so no equal padding keeps the size.

    Example:
        >>> same_padding(3, 12), same_padding(1, 1)
        (12, 0)
    """
    span = effective_kernel(kernel_size, rate)
    if span % 2 == 0:
        raise ValueError(
            f"kernel_size {kernel_size} at rate {rate} spans {span} cells, and no equal padding "
            "keeps the size of a map under an even span; use an odd kernel_size"
        )
    return span // 2


def output_size(
    size: int, kernel_size: int, *, stride: int = 1, padding: int = 0, rate: int = 1
) -> int:
    """Return the length of a convolution's output for an input of `size` cells.

    Example:
        >>> output_size(224, 7, stride=2, padding=3)
        112
        >>> output_size(65, 3, padding=12, rate=12)
        65
    """
    return (size + 2 * padding - effective_kernel(kernel_size, rate)) // stride + 1


class Layer(NamedTuple):
    """What a convolution or pooling does to the grid, the same along both axes."""

    kernel_size: int
    stride: int = 1
    rate: int = 1


def receptive_field(layers: Iterable[Layer | tuple[int, ...]]) -> int:
    """Return the side, in image pixels, of the square that one output cell sees.

    Each layer widens the field by its effective kernel less one, in steps of the stride so far.

    Example:
        >>> receptive_field([(3, 2), (3, 1), (3, 1, 12)])  # kernel, stride, rate
        55
    """
    field, stride = 1, 1
    for layer in map(Layer._make, (_complete(layer) for layer in layers)):
        field += (effective_kernel(layer.kernel_size, layer.rate) - 1) * stride
        stride *= layer.stride
    return field


def useful_taps(rate: int, height: int, width: int, kernel_size: int = 3) -> float:
    """Return how many of a kernel's taps fall inside the map, in the mean over its cells.

    The others fall on padding and add nothing: at a rate no smaller than both sides a 3x3 kernel
    is a 1x1 (arXiv:1706.05587, figure 4). The map is padded to keep its size.

    Args:
        rate: Distance between neighbouring taps, in cells.
        height: Rows of the map.
        width: Columns of the map.
        kernel_size: Taps along each axis, an odd number.

    Returns:
        A number from 1 to `kernel_size ** 2`.

    Raises:
        ValueError: The kernel has no centre, or a length is below 1.

    Example:
        >>> round(useful_taps(12, 65, 65), 3)
        6.921
        >>> useful_taps(65, 65, 65)
        1.0
    """
    if kernel_size % 2 == 0 or min(rate, height, width, kernel_size) < 1:
        raise ValueError(
            f"expected an odd kernel_size, and a rate, height and width from 1 up, got kernel_size "
            f"{kernel_size}, rate {rate} and a map of {height}x{width}"
        )
    return _useful_along(height, rate, kernel_size) * _useful_along(width, rate, kernel_size)


def rates_for(
    output_stride: int, rates_at_16: Sequence[int] = RATES_AT_STRIDE_16
) -> tuple[int, ...]:
    """Return the pyramid's rates that see the same image pixels at another output stride.

    The papers give (6, 12, 18) at stride 16 and double them at 8 (arXiv:1706.05587, section 3.3).

    Args:
        output_stride: Image pixels per cell of the map: 4, 8, 16 or 32.
        rates_at_16: The rates meant for stride 16.

    Raises:
        ValueError: The stride is not one of the four.

    Example:
        >>> rates_for(8), rates_for(16), rates_for(32)
        ((12, 24, 36), (6, 12, 18), (3, 6, 9))
    """
    if output_stride not in (4, 8, 16, 32):
        raise ValueError(f"output_stride must be 4, 8, 16 or 32, got {output_stride}")
    return tuple(max(1, round(rate * 16 / output_stride)) for rate in rates_at_16)


def _complete(layer: Sequence[int]) -> tuple[int, ...]:
    return (*layer, *(1, 1)[len(layer) - 1 :])


def _useful_along(length: int, rate: int, kernel_size: int) -> float:
    """Return the mean number of taps inside a line of `length` cells."""
    reach = kernel_size // 2
    inside = sum(max(0, length - abs(tap) * rate) for tap in range(-reach, reach + 1))
    return inside / length
