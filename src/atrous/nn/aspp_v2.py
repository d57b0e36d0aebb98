"""The first ASPP, of DeepLab v2: classify at several rates, and sum what they say.

Paper: Chen et al. 2016, "DeepLab", arXiv:1606.00915, section 3.2, section 4.1 and figure 7.
Axes: B batch, C channels in, K classes, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn.conv import classifier, set_rates
from atrous.nn.large_fov import FullyConnected
from atrous.nn.pyramid import Pyramid


class ASPPv2(Pyramid):
    """Classify at each rate by itself, and sum the logits.

    The paper's ASPP-L has the default rates, ASPP-S has (2, 4, 8, 12), both at output stride 8.

    Args:
        in_channels: Channels C of the incoming map.
        num_classes: Number K of classes.
        rates: Distance between the taps of each branch's 3x3 kernel, in cells.
        channels: Channels of the two hidden layers of each branch, which then is a LargeFOV: 1024
            on VGG-16. Without, as on ResNet-101, each branch is a single 3x3 classifier.
        dropout: Probability in [0, 1) that a hidden value is dropped in training; without hidden
            layers there is nothing to drop.

    Raises:
        ValueError: No rate is given, or one is below 1.

    Example:
        >>> ASPPv2(2048, 21)(torch.zeros(1, 2048, 25, 28)).shape
        torch.Size([1, 21, 25, 28])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        rates: Sequence[int] = (6, 12, 18, 24),
        *,
        channels: int | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(rates)
        self.out_channels = num_classes
        self.branches = nn.ModuleList(
            classifier(in_channels, num_classes, 3, rate=rate)
            if channels is None
            else FullyConnected(in_channels, num_classes, rate, channels=channels, dropout=dropout)
            for rate in self.rates
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K, H, W) of x (B, C, H, W)."""
        return torch.stack([branch(x) for branch in self.branches]).sum(dim=0)

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        set_rates(self.branches, rates)
