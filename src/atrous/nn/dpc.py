"""The dense prediction cell (DPC): the pyramid that a search for one has found.

Paper: Chen et al. 2018, "Searching for Efficient Multi-Scale Architectures for Dense Image
Prediction", arXiv:1809.04184, figure 5 (the best cell).
Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn.conv import ConvNormAct, set_rates
from atrous.nn.pyramid import Pyramid

_RATES = ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21))
_READS = (0, 1, 2, 1, 1)  # what each branch reads: 0 is the cell's input, k the k-th branch


class DPC(Pyramid):
    """Five 3x3 convolutions whose taps lie further apart along one axis than along the other.

    The first reads the input, the second, fourth and fifth read the first, and the third reads the
    second; a 1x1 convolution fuses all five. Each has batch norm and ReLU.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of each branch and of the result.
        rates: Five pairs (cells between the rows of taps, cells between their columns). The
            paper's are for output stride 16.
        separable: Make the 3x3 convolutions depthwise separable, as the paper's are.
        dropout: Probability in [0, 1) that a fused value is dropped in training.

    Raises:
        ValueError: The rates are not five pairs of whole numbers from 1 up.

    Example:
        >>> DPC(512, 256)(torch.zeros(1, 512, 22, 23)).shape
        torch.Size([1, 256, 22, 23])
    """

    takes_pairs = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[tuple[int, int]] = _RATES,
        separable: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(rates)
        if len(self.rates) != len(_READS):
            raise ValueError(f"DPC has five branches, got rates for {len(self.rates)}; give five")
        self.out_channels = out_channels
        self.branches = nn.ModuleList(
            ConvNormAct(
                out_channels if read else in_channels,
                out_channels,
                kernel_size=3,
                rate=rate,
                separable=separable,
            )
            for read, rate in zip(_READS, self.rates, strict=True)
        )
        self.project = ConvNormAct(len(_READS) * out_channels, out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        maps = [x]
        for branch, read in zip(self.branches, _READS, strict=True):
            maps.append(branch(maps[read]))
        return self.dropout(self.project(torch.cat(maps[1:], dim=1)))

    def _apply_rates(self, rates: tuple[tuple[int, int], ...]) -> None:
        set_rates(self.branches, rates)
