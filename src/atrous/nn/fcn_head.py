"""The head of fully convolutional networks: a plain classifier of a map, for deep supervision.

Papers: Long et al. 2014, "Fully Convolutional Networks", arXiv:1411.4038; Zhao et al. 2016,
"Pyramid Scene Parsing Network", arXiv:1612.01105, section 3.3 (the auxiliary loss).
"""

from torch import nn

from atrous.nn.conv import ConvNormAct, classifier


class FCNHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels, then a 1x1 classifier.

    Args:
        in_channels: Channels of the incoming map (B, C, H, W).
        num_classes: Number K of classes; the result is (B, K, H, W).
        dropout: Probability in [0, 1) that a value is dropped in training.

    Example:
        >>> import torch
        >>> FCNHead(256, 19)(torch.zeros(1, 256, 9, 9)).shape
        torch.Size([1, 19, 9, 9])
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float = 0.1) -> None:
        width = max(1, in_channels // 4)
        super().__init__(
            ConvNormAct(in_channels, width, kernel_size=3),
            nn.Dropout(dropout),
            classifier(width, num_classes),
        )
