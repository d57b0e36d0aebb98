"""VGG-16 as DeepLab v1 and v2 run it: output stride 8 by its own design.

The last two poolings keep the map's size and the last three convolutions have rate 2; all poolings
are 3x3, so that maps of images of 32k + 1 pixels lie exactly on one another, and an average pooling
follows the last one, as in the authors' released networks.

Papers: Simonyan & Zisserman 2014, arXiv:1409.1556 (configuration D); Chen et al. 2014,
arXiv:1412.7062, section 3.1.
"""

from torch import Tensor, nn

from atrous.models.timm_network import Stage

_WIDTHS = (64, 128, 256, 512, 512)
_CONVS = (2, 2, 3, 3, 3)
_POOL_STRIDES = (2, 2, 2, 1, 1)
_RATES = (1, 1, 1, 1, 2)


class VGG16(nn.Module):
    """The convolutions of VGG-16, with the holes and poolings of DeepLab.

    The names of its parameters are those of torchvision and timm, whose ImageNet weights fit.

    Args:
        in_channels: Channels of the images.

    Example:
        >>> import torch
        >>> [tuple(x.shape) for x in VGG16()(torch.zeros(1, 3, 33, 33))]
        [(1, 256, 9, 9), (1, 512, 5, 5)]
    """

    stages = (Stage(4, 256, "features.15"), Stage(8, 512, "pool5a"))

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, convs, stride, rate in zip(_WIDTHS, _CONVS, _POOL_STRIDES, _RATES, strict=True):
            for _ in range(convs):
                conv = nn.Conv2d(in_channels, width, 3, padding=rate, dilation=rate)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType], it has one
                layers += [conv, nn.ReLU(inplace=True)]
                in_channels = width
            layers.append(nn.MaxPool2d(3, stride=stride, padding=1))
        self.features = nn.Sequential(*layers)
        self.pool5a = nn.AvgPool2d(3, stride=1, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps at strides 4 (before the third pooling) and 8 of images (B, C, H, W)."""
        fine = self.features[:16](images)
        return [fine, self.pool5a(self.features[16:](fine))]
