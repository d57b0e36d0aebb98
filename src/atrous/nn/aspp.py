"""Atrous Spatial Pyramid Pooling (ASPP): read one feature map at several scales at once.

Paper: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.3, figure 5.
Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn.conv import ConvNormAct


class ASPP(nn.Module):
    """Gather context at several rates and from the whole map, then fuse it into one map.

    A 1x1 convolution, one 3x3 convolution for each rate, and the mean over the map followed by a
    1x1 convolution stand side by side; a 1x1 convolution fuses them. Each has batch norm and ReLU.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of each branch and of the result.
        rates: Distance between the taps of each 3x3 branch, in cells (not image pixels). A rate no
            smaller than both sides of the map leaves its branch the centre tap only.
        num_classes: When given, a 1x1 classifier ends the module and D is this number.
        bias: Whether the convolutions add a bias although batch norm follows.
        separable: Make the 3x3 branches depthwise separable, as v3+ does for speed.
        dropout: Probability in [0, 1) that a fused value is dropped in training.

    Raises:
        ValueError: No rate is given, or one is below 1.

    Example:
        >>> ASPP(512, 256, rates=(6, 12, 18))(torch.zeros(1, 512, 8, 16)).shape
        torch.Size([1, 256, 8, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int],
        num_classes: int | None = None,
        bias: bool = False,
        separable: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not rates or min(rates) < 1:
            raise ValueError(f"rates needs one or more whole numbers from 1 up, got {tuple(rates)}")
        self.rates = tuple(rates)
        self.out_channels = out_channels if num_classes is None else num_classes
        self.point = ConvNormAct(in_channels, out_channels, bias=bias)
        self.atrous = nn.ModuleList(
            ConvNormAct(
                in_channels, out_channels, kernel_size=3, rate=rate, bias=bias, separable=separable
            )
            for rate in rates
        )
        self.image = ConvNormAct(in_channels, out_channels, bias=bias)
        self.project = ConvNormAct((2 + len(rates)) * out_channels, out_channels, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.classifier = (
            nn.Identity() if num_classes is None else nn.Conv2d(out_channels, num_classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        image = self.image(x.mean(dim=(-2, -1), keepdim=True))
        branches = [self.point(x), *(conv(x) for conv in self.atrous)]
        # Resizing a 1x1 map bilinearly gives a constant, so broadcasting gives the same values.
        branches.append(image.expand(-1, -1, *x.shape[-2:]))
        return self.classifier(self.dropout(self.project(torch.cat(branches, dim=1))))
