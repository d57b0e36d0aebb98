"""DenseASPP: each rate reads what all smaller rates have found.

Paper: Yang et al. 2018, "DenseASPP for Semantic Segmentation in Street Scenes", CVPR 2018,
section 3.
Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn.conv import ConvNormAct, set_rates
from atrous.nn.pyramid import Pyramid


class DenseASPP(Pyramid):
    """Stack kernels of growing rates, densely connected, and fuse the input with all of them.

    Every layer reads the input and all earlier layers: a 1x1 convolution reduces them to half of
    C, and a 3x3 at the layer's rate finds an eighth of C. So the scales multiply, and a wide kernel
    samples a denser neighbourhood than alone.

    Batch norm and ReLU stand behind each convolution, as everywhere here; DenseNet has them before.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of the result.
        rates: Distance between the taps of each layer's 3x3 kernel, in cells. The paper's are for
            output stride 8.
        separable: Make the 3x3 convolutions depthwise separable.
        dropout: Probability in [0, 1) that a fused value is dropped in training.

    Raises:
        ValueError: No rate is given, or one is below 1.

    Example:
        >>> DenseASPP(512, 256)(torch.zeros(1, 512, 25, 28)).shape
        torch.Size([1, 256, 25, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int] = (3, 6, 12, 18, 24),
        separable: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(rates)
        self.out_channels = out_channels
        width, growth = max(1, in_channels // 2), max(1, in_channels // 8)
        self.layers = nn.ModuleList(
            nn.Sequential(
                ConvNormAct(in_channels + k * growth, width),
                ConvNormAct(width, growth, kernel_size=3, rate=rate, separable=separable),
            )
            for k, rate in enumerate(self.rates)
        )
        self.project = ConvNormAct(in_channels + len(self.rates) * growth, out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return self.dropout(self.project(x))

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        set_rates(self.layers, rates)
