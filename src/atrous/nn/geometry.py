"""The arithmetic of atrous convolution, without tensors.

All lengths along a feature map are in its cells; only strides and receptive fields, which relate a
map to the image, are in image pixels.

Papers: Chen et al. 2016, "DeepLab", arXiv:1606.00915, section 3.1 (effective kernel, field of
view); Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.1 (output
stride), section 3.3 and figure 4 (weights that are left as the rate grows).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple, TypeVar

RATES_AT_STRIDE_16 = (6, 12, 18)  # arXiv:1706.05587, section 3.3

_Rate = TypeVar("_Rate", int, tuple[int, int])


def effective_kernel(kernel_size: int, rate: int) -> int:
    """Return the cells that a kernel spans when `rate - 1` holes lie between its taps.

    Example:
        >>> effective_kernel(3, 12)
        25
    """
    return kernel_size + (kernel_size - 1) * (rate - 1)


def same_padding(kernel_size: int, rate: int) -> int:
    """Return the cells of padding on each side that keep a map's size: the rate, for a 3x3.

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


def per_axis(rate: int | tuple[int, int]) -> tuple[int, int]:
    """Return a rate as (between rows, between columns); a single number stands for both.

    Example:
        >>> per_axis(6), per_axis((6, 12))
        ((6, 6), (6, 12))
    """
    return (rate, rate) if isinstance(rate, int) else rate


def useful_taps(
    rate: int | tuple[int, int], height: int, width: int, kernel_size: int = 3
) -> float:
    """Return how many of a kernel's taps fall inside the map, in the mean over its cells.

    The others fall on padding and add nothing: at a rate no smaller than both sides a 3x3 kernel
    is a 1x1 (arXiv:1706.05587, figure 4). The map is padded to keep its size.

    Args:
        rate: Distance between neighbouring taps in cells, or one for (rows, columns).
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
    _check_map(rate, height, width, kernel_size)
    rows, columns = per_axis(rate)
    return _useful_along(height, rows, kernel_size) * _useful_along(width, columns, kernel_size)


def tap_histogram(
    rate: int | tuple[int, int], height: int, width: int, kernel_size: int = 3
) -> dict[int, float]:
    """Return which share of a map's cells has how many of a kernel's taps inside the map.

    Figure 4 of arXiv:1706.05587 plots the shares of 9, 4 and 1 taps; its map is padded to keep its
    size, as here. `useful_taps` is the mean of this histogram.

    Args:
        rate: Distance between neighbouring taps in cells, or one for (rows, columns).
        height: Rows of the map.
        width: Columns of the map.
        kernel_size: Taps along each axis, an odd number.

    Returns:
        Number of taps inside: share of the cells, above 0. The most taps come first.

    Raises:
        ValueError: The kernel has no centre, or a length is below 1.

    Example:
        >>> tap_histogram(2, 4, 4)
        {4: 1.0}
        >>> {taps: round(share, 4) for taps, share in tap_histogram(12, 65, 65).items()}
        {9: 0.3979, 6: 0.4658, 4: 0.1363}
    """
    _check_map(rate, height, width, kernel_size)
    rows, columns = per_axis(rate)
    down_high = _cells_along(height, rows, kernel_size)
    right_wide = _cells_along(width, columns, kernel_size)
    cells: Counter[int] = Counter()
    for (down, high), (right, wide) in product(down_high.items(), right_wide.items()):
        cells[down * right] += high * wide
    return {taps: cells[taps] / (height * width) for taps in sorted(cells, reverse=True)}


def rates_for(
    output_stride: int, rates: Sequence[_Rate] = RATES_AT_STRIDE_16, *, at_stride: int = 16
) -> tuple[_Rate, ...]:
    """Return the pyramid's rates that see the same image pixels at another output stride.

    v3 gives (6, 12, 18) at stride 16 and doubles them at 8 (arXiv:1706.05587, section 3.3); v1 and
    v2 give theirs at 8.

    Args:
        output_stride: Image pixels per cell of the map: 4, 8, 16 or 32.
        rates: The rates to adapt; each may be a pair (rows, columns).
        at_stride: The output stride that `rates` are meant for.

    Raises:
        ValueError: A stride is not one of the four.

    Example:
        >>> rates_for(8), rates_for(16), rates_for(32)
        ((12, 24, 36), (6, 12, 18), (3, 6, 9))
        >>> rates_for(16, [(6, 12), (12, 24)], at_stride=8)
        ((3, 6), (6, 12))
    """
    for name, stride in (("output_stride", output_stride), ("at_stride", at_stride)):
        if stride not in (4, 8, 16, 32):
            raise ValueError(f"{name} must be 4, 8, 16 or 32, got {stride}")
    return tuple(_scale(rate, at_stride / output_stride) for rate in rates)


def _complete(layer: Sequence[int]) -> tuple[int, ...]:
    return (*layer, *(1, 1)[len(layer) - 1 :])


def _scale(rate: _Rate, factor: float) -> _Rate:
    if isinstance(rate, int):
        return max(1, round(rate * factor))
    rows, columns = rate
    return _scale(rows, factor), _scale(columns, factor)


def _check_map(rate: int | tuple[int, int], height: int, width: int, kernel_size: int) -> None:
    if kernel_size % 2 == 0 or min(*per_axis(rate), height, width, kernel_size) < 1:
        raise ValueError(
            f"expected an odd kernel_size, and a rate, height and width from 1 up, got kernel_size "
            f"{kernel_size}, rate {rate} and a map of {height}x{width}"
        )


def _useful_along(length: int, rate: int, kernel_size: int) -> float:
    """Return the mean number of taps inside a line of `length` cells."""
    reach = kernel_size // 2
    inside = sum(max(0, length - abs(tap) * rate) for tap in range(-reach, reach + 1))
    return inside / length


def _cells_along(length: int, rate: int, kernel_size: int) -> Counter[int]:
    """Return how many cells of a line have how many taps inside it."""

    def with_at_least(left: int, right: int) -> int:
        """Count the cells with so many taps inside on either side of the centre."""
        return max(0, length - (left + right) * rate) if max(left, right) <= reach else 0

    reach = kernel_size // 2
    cells: Counter[int] = Counter()
    for left, right in product(range(reach + 1), repeat=2):
        cells[left + 1 + right] += (
            with_at_least(left, right)
            - with_at_least(left + 1, right)
            - with_at_least(left, right + 1)
            + with_at_least(left + 1, right + 1)
        )
    return +cells  # without the counts of zero
