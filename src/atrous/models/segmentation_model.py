"""What every network here has in common: images in, one logit per class and pixel out.

Axes: B batch, H rows, W columns of the image; h, w of the map that is classified; K classes.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.data.palettes import default_palette
from atrous.errors import UsageError
from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.preprocessing import Preprocessing
from atrous.models.pyramids import paper_rates
from atrous.nn.conv import moved, resize
from atrous.nn.fcn_head import FCNHead
from atrous.nn.geometry import rates_for
from atrous.nn.lr_aspp import LRASPP
from atrous.nn.pyramid import Pyramid


class SegmentationModel(nn.Module):
    """Abstract base: a backbone, what reads its maps, and what the numbers mean.

    Attributes:
        backbone: Turns images into feature maps.
        pyramid: Reads the deepest one at several rates.
        auxiliary: Classifies an early map too, for deep supervision; None without `aux_head`.
        classes: Names of the classes, in the order of the logits.
        palette: One (red, green, blue) for each class, 0 to 255.
        preprocessing: What brings an image's values to what the backbone expects.
        blueprint: The numbers it was built with, and the output stride and rates it has now.
    """

    pyramid: Pyramid | LRASPP

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__()
        self.backbone = backbone
        self.blueprint = self._as_built = blueprint
        self.auxiliary = _auxiliary(backbone, blueprint) if blueprint.aux_head else None
        num_classes = blueprint.num_classes
        self.classes: tuple[str, ...] = tuple(f"class {i}" for i in range(num_classes))
        self.palette: tuple[tuple[int, int, int], ...] = _default_colors(num_classes)
        self.preprocessing: Preprocessing = backbone.preprocessing

    @property
    def output_stride(self) -> int:
        """Image pixels per cell of the deepest map, along each axis."""
        return self.backbone.output_stride

    @property
    def rates(self) -> tuple[Any, ...]:
        """Rates of the pyramid, in cells of the deepest map."""
        return self.blueprint.rates

    @abstractmethod
    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) for the backbone's maps, on the finest grid computed."""

    def set_output_stride(self, stride: int) -> None:
        """Change the density of the deepest map; the weights stay.

        The strides given up become rates, and the rates of the pyramid and the multi-grid follow,
        so that all kernels reach as many image pixels as before (arXiv:1706.05587, sections 3.1 and
        3.3): a network trained at 16 is more exact, and slower, at 8. The labels stay where they
        are in the image, see `in_place`.

        Args:
            stride: Image pixels per cell: 4, 8, 16 or 32.

        Raises:
            UsageError: The stride is none of these, or the backbone cannot be held there, or the
                pyramid cannot have its rates; nothing has changed then.

        Example:
            >>> from atrous import create_model
            >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
            >>> model.set_output_stride(8)
            >>> model.output_stride, model.rates
            (8, (12, 24, 36))
        """
        built, before = self._as_built, self.output_stride
        self.backbone.set_output_stride(stride)
        try:
            rates = _rates_at(stride, built)
            if rates:
                self.pyramid.rates = rates
        except ValueError as error:
            self.backbone.set_output_stride(before)
            raise UsageError(f"pyramid {built.pyramid!r}: {error}") from error
        trained = built.trained_output_stride or built.output_stride
        changes = {
            "output_stride": stride,
            "rates": rates,
            "trained_output_stride": None if stride == trained else trained,
        }
        self.blueprint = built.model_copy(update=changes)

    def in_place(self, deep: Tensor) -> Tensor:
        """Return a map (B, C, h, w) of the deepest grid, moved to where its cells lie in the image.

        A cell of stride t begins at each t-th pixel, and stands for t pixels: what a network learns
        to say of it holds for their middle, (t - 1) / 2 pixels on. At stride s, middles lie
        (s - 1) / 2 pixels on. Left where they are, labels would be (t - s) / 2 pixels off; so the
        map is moved by (t / s - 1) / 2 cells. It gets t / s times the cells that it has at t, as
        the last one may reach beyond the image (docs/decisions/0016). With aligned corners, as in
        the papers' code, a cell stands for its first pixel at every stride.
        """
        trained, stride = self.blueprint.trained_output_stride, self.output_stride
        if trained is None or self.blueprint.conventions.align_corners:
            return deep
        denser = max(1, trained // stride)
        height, width = (-(-side // denser) * denser for side in deep.shape[-2:])
        return moved(deep, (trained / stride - 1) / 2, (height, width))

    def coarse_logits(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for images (B, C, H, W), before they are brought to size."""
        return self.coarse_logits_and_auxiliary(images)[0]

    def coarse_logits_and_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the network, and those of its auxiliary head if it has one.

        Each is on its own grid: (B, K, h, w) for images (B, C, H, W).
        """
        scales = self.blueprint.scales
        if scales == (1.0,):
            features = self.backbone(images)
            return self.classify(features), self._classify_early(features)
        pyramid = [self.backbone(self._scaled(images, scale)) for scale in scales]
        logits = [self.classify(features) for features in pyramid]
        finest = max(logits, key=lambda map: map.shape[-2] * map.shape[-1])
        # arXiv:1606.00915, section 4.3: the highest score that any scale gives.
        fused = torch.stack([self._resize(x, finest.shape[-2:]) for x in logits]).amax(dim=0)
        return fused, self._classify_early(pyramid[scales.index(max(scales))])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for preprocessed images (B, C, H, W) of any B, H and W."""
        return self._resize(self.coarse_logits(images), images.shape[-2:])

    def _classify_early(self, features: Features) -> Tensor | None:
        if self.auxiliary is None:
            return None
        return self.auxiliary(features.early[self.blueprint.conventions.aux_stride])

    def _resize(self, x: Tensor, size: Sequence[int]) -> Tensor:
        height, width = size
        return resize(x, (height, width), align_corners=self.blueprint.conventions.align_corners)

    def _scaled(self, images: Tensor, scale: float) -> Tensor:
        size = [max(1, int(side * scale)) for side in images.shape[-2:]]
        return images if scale == 1 else F.interpolate(images, size, mode="bilinear")

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


def _rates_at(stride: int, built: Blueprint) -> tuple[Any, ...]:
    """Return the rates of a network, brought from the stride it was built with to another."""
    pyramid, taps = built.pyramid, built.kernel_size
    if built.rates == paper_rates(pyramid, built.output_stride, taps):
        return paper_rates(pyramid, stride, taps)  # without rounding twice
    rates: Any = built.rates
    return rates_for(stride, rates, at_stride=built.output_stride)


def _auxiliary(backbone: Backbone, blueprint: Blueprint) -> FCNHead:
    stride = blueprint.conventions.aux_stride
    if stride not in backbone.early_channels:
        raise UsageError(
            f"backbone {backbone.name!r} has no map of stride {stride} for the auxiliary head; "
            "leave out aux_head, or use another backbone"
        )
    return FCNHead(backbone.early_channels[stride], blueprint.num_classes)


def _default_colors(number: int) -> tuple[tuple[int, int, int], ...]:
    """Return the default colours, which repeat from the 257th class on."""
    return tuple(islice(cycle(default_palette(256)), number))
