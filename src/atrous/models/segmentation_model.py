"""What every network here has in common: images in, one logit per class and pixel out.

Axes: B batch, H rows, W columns of the image; h, w of the map that is classified; K classes.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import cycle, islice

from torch import Tensor, nn

from atrous.data.palettes import default_palette
from atrous.errors import UsageError
from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.preprocessing import Preprocessing
from atrous.nn.conv import resize


class SegmentationModel(nn.Module):
    """Abstract base: a backbone, what reads its maps, and what the numbers mean.

    Attributes:
        backbone: Turns images into feature maps.
        classes: Names of the classes, in the order of the logits.
        palette: One (red, green, blue) for each class, 0 to 255.
        preprocessing: What brings an image's values to what the backbone expects.
        blueprint: The numbers it was built with.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__()
        self.backbone = backbone
        self.blueprint = blueprint
        num_classes = blueprint.num_classes
        self.classes: tuple[str, ...] = tuple(f"class {i}" for i in range(num_classes))
        self.palette: tuple[tuple[int, int, int], ...] = _default_colors(num_classes)
        self.preprocessing: Preprocessing = backbone.preprocessing

    @property
    def output_stride(self) -> int:
        """Image pixels per cell of the deepest map, along each axis."""
        return self.backbone.output_stride

    @property
    @abstractmethod
    def rates(self) -> tuple[int, ...]:
        """Rates of the pyramid, in cells of the deepest map."""

    @abstractmethod
    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) for the backbone's maps, on the finest grid computed."""

    def coarse_logits(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for images (B, 3, H, W), before they are brought to size."""
        return self.classify(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for preprocessed images (B, 3, H, W) of any B, H and W."""
        return resize(self.coarse_logits(images), images.shape[-2:])

    def name_classes(
        self, classes: Sequence[str], palette: Sequence[tuple[int, int, int]] | None = None
    ) -> None:
        """Say what the logits mean; without a palette the default colours are taken.

        Raises:
            UsageError: There is not one name, and one colour of three bytes, for each logit; or a
                name occurs twice.
        """
        names = tuple(classes)
        colors = _default_colors(len(names)) if palette is None else tuple(palette)
        if not len(names) == len(colors) == self.blueprint.num_classes:
            raise UsageError(
                f"the model has {self.blueprint.num_classes} classes, got {len(names)} names "
                f"and {len(colors)} colours; give one of each for each class"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"class name {twice!r} is used twice; give each class its own")
        for color in colors:
            if len(color) != 3 or not all(0 <= channel <= 255 for channel in color):
                raise UsageError(f"colour {color} is not (red, green, blue) of 0 to 255 each")
        self.classes = names
        self.palette = tuple((red, green, blue) for red, green, blue in colors)


def _default_colors(number: int) -> tuple[tuple[int, int, int], ...]:
    """Return the default colours, which repeat from the 257th class on."""
    return tuple(islice(cycle(default_palette(256)), number))


def classifier(in_channels: int, num_classes: int) -> nn.Conv2d:
    """Return a 1x1 classifier that starts without preference, so that the first loss is log K."""
    conv = nn.Conv2d(in_channels, num_classes, 1)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType], it has one by default
    return conv
