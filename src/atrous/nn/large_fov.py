"""LargeFOV, the head of DeepLab v1: the first fully connected layer of VGG-16 as one wide kernel.

Paper: Chen et al. 2014, "Semantic Image Segmentation with Deep Convolutional Nets and Fully
Connected CRFs", arXiv:1412.7062, section 3 and its table of kernel sizes and rates.
Axes: B batch, C channels in, K classes, H rows, W columns (feature-map cells).
"""

from torch import Tensor, nn

from atrous.nn.conv import classifier, same_conv, set_rate
from atrous.nn.pyramid import Pyramid


class LargeFOV(Pyramid):
    """Classify each cell by a wide, sparse neighbourhood: one kernel, and two 1x1 behind it.

    The paper's variants at output stride 8, with the parameters of the whole network on VGG-16:
    3x3 at rate 12 with 1024 channels (20.5 million); 4x4 at rate 4 or 8 with 4096 (65.1); 7x7 at
    rate 4 with 4096 (134.3).

    Args:
        in_channels: Channels C of the incoming map.
        num_classes: Number K of classes.
        rate: Distance between the taps of the wide kernel, in cells. Under an even kernel it is
            even, as no padding keeps the map's size otherwise.
        kernel_size: Taps of the wide kernel along each axis.
        channels: Channels of both hidden layers.
        dropout: Probability in [0, 1) that a hidden value is dropped in training.

    Raises:
        ValueError: The rate is below 1, or odd under an even kernel.

    Example:
        >>> import torch
        >>> LargeFOV(512, 21)(torch.zeros(1, 512, 28, 41)).shape
        torch.Size([1, 21, 28, 41])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        rate: int = 12,
        *,
        kernel_size: int = 3,
        channels: int = 1024,
        dropout: float = 0.5,
    ) -> None:
        super().__init__((rate,))
        self.out_channels = num_classes
        self.kernel_size = kernel_size
        self.layers = FullyConnected(
            in_channels,
            num_classes,
            rate,
            kernel_size=kernel_size,
            channels=channels,
            dropout=dropout,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K, H, W) of x (B, C, H, W)."""
        return self.layers(x)

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        set_rate(self.layers.fc6, *rates)


class FullyConnected(nn.Sequential):
    """VGG's fully connected layers as convolutions, the last one for other classes.

    Args:
        in_channels: Channels C of the incoming map.
        num_classes: Number K of classes.
        rate: Distance between the taps of the first kernel, in cells.
        kernel_size: Taps of the first kernel along each axis.
        channels: Channels of both hidden layers.
        dropout: Probability in [0, 1) that a hidden value is dropped in training.

    Example:
        >>> import torch
        >>> layers = FullyConnected(8, 3, rate=2, channels=16, dropout=0.5)
        >>> layers(torch.zeros(1, 8, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        rate: int,
        *,
        kernel_size: int = 3,
        channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.fc6 = same_conv(in_channels, channels, kernel_size, rate=rate, bias=True)
        self.relu6 = nn.ReLU(inplace=True)
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = same_conv(channels, channels, 1, bias=True)
        self.relu7 = nn.ReLU(inplace=True)
        self.drop7 = nn.Dropout(dropout)
        self.fc8 = classifier(channels, num_classes)
