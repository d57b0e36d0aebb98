"""Atrous convolution, twice: as it is defined, and as dense convolutions of sub-sampled maps.

    y[i] = sum over k of x[i + r * k] w[k]

The taps k of the kernel w lie r cells apart, r being the rate; k is 0 at the kernel's centre, and x
counts 0 outside the map.

Papers: Chen et al. 2016, "DeepLab", arXiv:1606.00915, section 3.1 (both forms); Chen et al. 2017,
"Rethinking Atrous Convolution", arXiv:1706.05587, section 3.1 (the definition in two dimensions).
Axes: B batch, C channels in, D channels out, G groups, K taps, L cells, H rows, W columns.
"""

from torch import Tensor
from torch.nn import functional as F

from atrous.kernels.polyphase import join_phases, split_phases
from atrous.nn.geometry import per_axis, same_padding


def atrous_conv1d(x: Tensor, weight: Tensor, *, rate: int, bias: Tensor | None = None) -> Tensor:
    """Return the atrous convolution of a line, as long as the line.

    Args:
        x: Lines (B, C, L).
        weight: Kernels (D, C, K), K odd.
        rate: Distance between neighbouring taps, in cells; 1 is ordinary convolution.
        bias: One value (D,) to add to each channel.

    Returns:
        Lines (B, D, L).

    Raises:
        ValueError: The rate is below 1, or the kernel has no centre.

    Example:
        >>> import torch
        >>> line = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
        >>> atrous_conv1d(line, torch.ones(1, 1, 3), rate=2)
        tensor([[[4., 6., 9., 6., 8.]]])
    """
    (rate,) = _checked(rate)
    padding = same_padding(weight.shape[-1], rate)
    return F.conv1d(x, weight, bias, padding=padding, dilation=rate)


def atrous_conv2d(
    x: Tensor,
    weight: Tensor,
    *,
    rate: int | tuple[int, int],
    bias: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    """Return the atrous convolution of a map, as large as the map.

    Args:
        x: Maps (B, C, H, W).
        weight: Kernels (D, C / G, K, K), K odd; the sides may differ.
        rate: Distance between neighbouring taps in cells, or one for (rows, columns).
        bias: One value (D,) to add to each channel.
        groups: Number G of parts that the channels fall into, each convolved by itself.

    Returns:
        Maps (B, D, H, W).

    Raises:
        ValueError: A rate is below 1, or the kernel has no centre.

    Example:
        >>> import torch
        >>> atrous_conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3), rate=2)[0, 0, 0]
        tensor([4., 4., 6., 4., 4.])
    """
    rates = _checked(*per_axis(rate))
    return F.conv2d(x, weight, bias, padding=_padding(weight, rates), dilation=rates, groups=groups)


def polyphase_atrous_conv2d(
    x: Tensor,
    weight: Tensor,
    *,
    rate: int | tuple[int, int],
    bias: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    """Return what `atrous_conv2d` returns, computed by an ordinary convolution without holes.

    Cells that lie a rate apart see only each other. So the map falls into rate x rate sub-maps that
    are convolved densely, side by side in the batch, and interleaved again (arXiv:1606.00915,
    section 3.1). Arguments, result and errors are those of `atrous_conv2d`; rates are in cells.

    Example:
        >>> import torch
        >>> x, weight = torch.randn(2, 3, 10, 7), torch.randn(4, 3, 3, 3)
        >>> expected = atrous_conv2d(x, weight, rate=(4, 3))
        >>> torch.allclose(polyphase_atrous_conv2d(x, weight, rate=(4, 3)), expected, atol=1e-5)
        True
    """
    rates = per_axis(rate)
    _checked(*rates)
    height, width = x.shape[-2:]
    phases = F.conv2d(
        split_phases(x, rates), weight, bias, padding=_padding(weight, (1, 1)), groups=groups
    )
    return join_phases(phases, rates)[..., :height, :width]


def _checked(*rates: int) -> tuple[int, ...]:
    if min(rates) < 1:
        raise ValueError(f"rate needs whole numbers from 1 up, got {', '.join(map(str, rates))}")
    return rates


def _padding(weight: Tensor, rates: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows above and below, and the columns on either side, that keep the size."""
    rows, columns = map(same_padding, weight.shape[-2:], rates)
    return rows, columns
