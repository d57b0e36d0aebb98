"""The decoder of DeepLab v3+: sharp borders from an early, fine map.

Paper: Chen et al. 2018, "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611,
section 3.1, figure 2, tables 1 and 2.
Axes: B batch, H rows, W columns of the fine map; h, w of the deep one.
"""

import torch
from torch import Tensor, nn

from atrous.nn.conv import Between, ConvNormAct, resize


class Decoder(nn.Module):
    """Join the pyramid's map with an early one of stride 4, and refine the two together.

    Args:
        in_channels: Channels of the pyramid's map.
        low_level_channels: Channels of the early map.
        reduced_channels: Channels that the early map is reduced to, so that it does not outweigh
            the pyramid's. The paper's table 1 finds 48 best.
        out_channels: Channels D of the result.
        num_convs: How many convolutions refine the joined map. The paper's table 2 finds one or
            three worse than two.
        kernel_size: Their taps along each axis, an odd number.
        separable: Make them depthwise separable.
        between: What stands between the two halves then, see `ConvNormAct`.
        align_corners: How the deep map is resized, see `atrous.nn.conv.resize`.

    Raises:
        ValueError: `num_convs` is below 1.

    Example:
        >>> fine, deep = torch.zeros(1, 24, 33, 33), torch.zeros(1, 256, 9, 9)
        >>> Decoder(256, 24)(deep, fine).shape
        torch.Size([1, 256, 33, 33])
    """

    def __init__(
        self,
        in_channels: int,
        low_level_channels: int,
        *,
        reduced_channels: int = 48,
        out_channels: int = 256,
        num_convs: int = 2,
        kernel_size: int = 3,
        separable: bool = False,
        between: Between = "norm_act",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if num_convs < 1:
            raise ValueError(f"num_convs must be 1 or more, got {num_convs}")
        self.out_channels = out_channels
        self.align_corners = align_corners
        self.reduce = ConvNormAct(low_level_channels, reduced_channels)
        self.refine = nn.Sequential(
            *(
                ConvNormAct(
                    out_channels if k else in_channels + reduced_channels,
                    out_channels,
                    kernel_size=kernel_size,
                    separable=separable,
                    between=between,
                )
                for k in range(num_convs)
            )
        )

    def forward(self, deep: Tensor, fine: Tensor) -> Tensor:
        """Return the refined map (B, D, H, W) of deep (B, C, h, w) and fine (B, L, H, W)."""
        deep = resize(deep, fine.shape[-2:], align_corners=self.align_corners)
        return self.refine(torch.cat([deep, self.reduce(fine)], dim=1))
