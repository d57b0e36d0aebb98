"""The cascade of DeepLab v3: go deeper at growing rates instead of side by side.

Paper: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.2, figure 3,
table 3.
Axes: B batch, C channels, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn.conv import BatchNorm2d, ConvNormAct, same_conv, set_rates
from atrous.nn.pyramid import Pyramid


class Cascade(Pyramid):
    """Blocks 5 to 7 of v3: copies of ResNet's last block, each at a larger rate.

    Args:
        in_channels: Channels C of the incoming map, and of the result.
        rates: Rate of each block, in cells; there are as many blocks. The default is for output
            stride 16, where ResNet's last block has rate 2.
        multi_grid: What multiplies the block's rate in each of its units (section 3.2.1).
        dropout: Probability in [0, 1) that a value of the result is dropped in training.

    Raises:
        ValueError: No rate or no unit is given, or one is below 1.

    Example:
        >>> import torch
        >>> Cascade(512)(torch.zeros(1, 512, 33, 34)).shape
        torch.Size([1, 512, 33, 34])
    """

    def __init__(
        self,
        in_channels: int,
        *,
        rates: Sequence[int] = (4, 8, 16),
        multi_grid: Sequence[int] = (1, 2, 1),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(rates)
        if not multi_grid or min(multi_grid) < 1:
            raise ValueError(
                f"multi_grid needs one or more whole numbers from 1 up, got {tuple(multi_grid)}"
            )
        self.out_channels = in_channels
        self.multi_grid = tuple(multi_grid)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(*(Unit(in_channels, rate * unit) for unit in self.multi_grid))
                for rate in self.rates
            )
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, C, H, W) of x (B, C, H, W)."""
        return self.dropout(self.blocks(x))

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        for block, rate in zip(self.blocks.children(), rates, strict=True):
            set_rates(block.children(), [rate * unit for unit in self.multi_grid])


class Unit(nn.Module):
    """ResNet's bottleneck at a rate: the input, and what three convolutions add to it.

    Args:
        channels: Channels C of the incoming map, and of the result.
        rate: Distance between the taps of its 3x3 kernel, in cells.

    Example:
        >>> import torch
        >>> Unit(8, rate=2)(torch.zeros(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def __init__(self, channels: int, rate: int) -> None:
        super().__init__()
        width = max(1, channels // 4)
        self.reduce = ConvNormAct(channels, width)
        self.atrous = ConvNormAct(width, width, kernel_size=3, rate=rate)
        self.expand = nn.Sequential(same_conv(width, channels, 1), BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, C, H, W) of x (B, C, H, W)."""
        return F.relu(x + self.expand(self.atrous(self.reduce(x))))
