"""Waterfall Atrous Spatial Pooling (WASP): the rates of ASPP, one behind the other.

Paper: Artacho & Savakis 2019, "Waterfall Atrous Spatial Pooling Architecture for Efficient Semantic
Segmentation", Sensors 19(24):5361, arXiv:1912.03183, section 3.
Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn.conv import ConvNormAct, GlobalMean, set_rates
from atrous.nn.pyramid import Pyramid


class WASP(Pyramid):
    """Widen the view step by step, and fuse all steps with the mean over the map.

    Each 3x3 convolution reads the one before it, so that all but the first work on D channels:
    fewer weights than ASPP, and a larger field of view.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of each step and of the result.
        rates: Distance between the taps of each step's 3x3 kernel, in cells.
        separable: Make the 3x3 convolutions depthwise separable.
        dropout: Probability in [0, 1) that a fused value is dropped in training.

    Raises:
        ValueError: No rate is given, or one is below 1.

    Example:
        >>> WASP(512, 256)(torch.zeros(1, 512, 25, 28)).shape
        torch.Size([1, 256, 25, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int] = (6, 12, 18, 24),
        separable: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(rates)
        self.out_channels = out_channels
        self.steps = nn.ModuleList(
            ConvNormAct(
                out_channels if k else in_channels,
                out_channels,
                kernel_size=3,
                rate=rate,
                separable=separable,
            )
            for k, rate in enumerate(self.rates)
        )
        self.points = nn.ModuleList(ConvNormAct(out_channels, out_channels) for _ in self.rates)
        self.mean = GlobalMean()
        self.image = ConvNormAct(in_channels, out_channels)
        self.project = ConvNormAct((1 + len(self.rates)) * out_channels, out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        branches = [self.image(self.mean(x)).expand(-1, -1, *x.shape[-2:])]
        for step, point in zip(self.steps, self.points, strict=True):
            x = step(x)
            branches.append(point(x))
        return self.dropout(self.project(torch.cat(branches, dim=1)))

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        set_rates(self.steps, rates)
