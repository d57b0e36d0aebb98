"""The sub-maps of cells that lie a rate apart, which see only each other under an atrous kernel.

arXiv:1606.00915, section 3.1. Axes: B batch, C channels, H rows, W columns, P phases.
"""

from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


def split_phases(x: Tensor, rates: Pair) -> Tensor:
    """Return the sub-maps of a map, those of a phase for the whole batch after each other.

    Args:
        x: Maps (B, C, H, W); zeros fill up what the rates do not divide.
        rates: Rows and columns from one cell of a phase to the next.

    Returns:
        (P * B, C, h, w) for P = rates[0] * rates[1]; the channels are last in memory, unless P is
        1.

    Example:
        >>> import torch
        >>> split_phases(torch.arange(1, 6).view(1, 1, 1, 5), (1, 2)).tolist()
        [[[[1, 3, 5]]], [[[2, 4, 0]]]]
    """
    (height, width), (down, right) = x.shape[2:], rates
    x = F.pad(x, (0, -width % right, 0, -height % down)).permute(0, 2, 3, 1)
    cells = x.unflatten(2, (-1, right)).unflatten(1, (-1, down))  # B, h, down, w, right, C
    return cells.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def join_phases(phases: Tensor, rates: Pair) -> Tensor:
    """Return the map whose sub-maps `split_phases` gives, (B, C, h * rates[0], w * rates[1]).

    Example:
        >>> import torch
        >>> x = torch.randn(2, 3, 4, 6)
        >>> torch.equal(join_phases(split_phases(x, (2, 3)), (2, 3)), x)
        True
    """
    batch = len(phases) // (rates[0] * rates[1])
    cells = phases.permute(0, 2, 3, 1).unflatten(0, (*rates, batch))  # down, right, B, h, w, C
    return cells.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
