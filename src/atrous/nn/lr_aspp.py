"""Lite R-ASPP, the head of MobileNetV3: one gate from the whole map instead of wide kernels.

Paper: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, section 6.4, figure 10.
Axes: B batch, K classes, H rows, W columns of the low map; C, h, w of the deep one; L channels of
the low one.
"""

from torch import Tensor, nn

from atrous.nn.conv import ConvNormAct, GlobalMean, classifier, resize


class LRASPP(nn.Module):
    """Gate the deep map by its mean, and add its logits to those of an early map.

    The paper pools over large windows; here, as in most implementations, it is the whole map.

    Args:
        low_channels: Channels L of the early map, of stride 8 in the paper.
        in_channels: Channels C of the deep map, of stride 16.
        num_classes: Number K of classes.
        channels: Channels that the deep map is classified from.

    Attributes:
        rates: None: no kernel here is wider than a cell.

    Example:
        >>> import torch
        >>> LRASPP(40, 960, 19)(torch.zeros(1, 40, 28, 41), torch.zeros(1, 960, 14, 21)).shape
        torch.Size([1, 19, 28, 41])
    """

    rates: tuple[int, ...] = ()

    def __init__(
        self, low_channels: int, in_channels: int, num_classes: int, *, channels: int = 128
    ) -> None:
        super().__init__()
        self.out_channels = num_classes
        self.point = ConvNormAct(in_channels, channels)
        self.gate = nn.Sequential(
            GlobalMean(), nn.Conv2d(in_channels, channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = classifier(low_channels, num_classes)
        self.deep_classifier = classifier(channels, num_classes)

    def forward(self, low: Tensor, deep: Tensor) -> Tensor:
        """Return logits (B, K, H, W) of low (B, L, H, W) and deep (B, C, h, w)."""
        gated = self.point(deep) * self.gate(deep)
        gated = resize(gated, low.shape[-2:])
        return self.deep_classifier(gated) + self.low_classifier(low)
