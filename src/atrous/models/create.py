"""From a name and a few numbers to a network."""

import difflib
from collections.abc import Sequence

from pydantic import ValidationError

from atrous.errors import UsageError, explain
from atrous.models.backbone import Backbone
from atrous.models.blueprint import Blueprint
from atrous.models.deeplabv3 import DeepLabV3
from atrous.models.deeplabv3plus import DeepLabV3Plus
from atrous.models.pretrained import load_imagenet_weights
from atrous.models.segmentation_model import SegmentationModel
from atrous.nn.geometry import rates_for

ARCHITECTURES: dict[str, type[DeepLabV3] | type[DeepLabV3Plus]] = {
    "deeplabv3": DeepLabV3,
    "deeplabv3plus": DeepLabV3Plus,
}


def create_model(
    architecture: str,
    *,
    backbone: str,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    palette: Sequence[tuple[int, int, int]] | None = None,
    output_stride: int = 16,
    rates: Sequence[int] | None = None,
    separable: bool = False,
    separable_decoder: bool | None = None,
    # The papers name none; 0.1 is what their authors' TensorFlow code drops after the pyramid.
    dropout: float = 0.1,
    in_channels: int = 3,
    pretrained_backbone: bool = False,
) -> SegmentationModel:
    """Build a network of the DeepLab family.

    Args:
        architecture: `deeplabv3` or `deeplabv3plus`.
        backbone: Any timm network that gives feature maps, such as `resnet50`.
        num_classes: Number K of classes; not needed when `classes` is given.
        classes: Their names, in the order of the logits.
        palette: One (red, green, blue) for each class.
        output_stride: Image pixels per cell of the deepest map: 8, 16 or 32.
        rates: Rates of the pyramid in cells; by default those of the paper for this output stride.
        separable: Make the 3x3 convolutions of pyramid and decoder depthwise separable, as v3+ does
            for fewer parameters.
        separable_decoder: The same for the decoder alone; by default as `separable`.
        dropout: Probability in [0, 1) that a value of the pyramid's map is dropped, in training.
        in_channels: Channels of the images.
        pretrained_backbone: Start the backbone from its ImageNet weights.

    Returns:
        The network in training mode: preprocessed images (B, in_channels, H, W) of any size to
        logits (B, K, H, W).

    Raises:
        UsageError: An unknown architecture or backbone, or one without this output stride; a value
            out of range; or the ImageNet weights are not to be had.

    Example:
        >>> import torch
        >>> model = create_model("deeplabv3plus", backbone="resnet18", num_classes=19)
        >>> model(torch.zeros(1, 3, 97, 65)).shape
        torch.Size([1, 19, 97, 65])
    """
    number = len(classes) if num_classes is None and classes is not None else num_classes
    try:
        blueprint = Blueprint(
            architecture=architecture,
            backbone=backbone,
            num_classes=number,  # pyright: ignore[reportArgumentType], None is refused there
            output_stride=output_stride,
            rates=rates_for(output_stride) if rates is None else tuple(rates),
            separable=separable,
            separable_decoder=separable if separable_decoder is None else separable_decoder,
            dropout=dropout,
            in_channels=in_channels,
        )
    except ValidationError as error:
        raise UsageError(f"create_model: {explain(error)}") from error
    except ValueError as error:
        raise UsageError(f"create_model: {error}") from error
    model = build(blueprint, pretrained_backbone=pretrained_backbone)
    if classes is not None:
        model.name_classes(classes, palette)
    return model


def build(blueprint: Blueprint, *, pretrained_backbone: bool = False) -> SegmentationModel:
    """Build the network that a blueprint describes.

    Raises:
        UsageError: An unknown architecture or backbone, or one without this output stride.
    """
    if blueprint.architecture not in ARCHITECTURES:
        meant = blueprint.architecture.replace("+", "plus")
        near = difflib.get_close_matches(meant, ARCHITECTURES, n=1)
        raise UsageError(
            f"architecture {blueprint.architecture!r} is unknown; "
            f"use {' or '.join(near or ARCHITECTURES)}"
        )
    backbone = Backbone(
        blueprint.backbone,
        output_stride=blueprint.output_stride,
        in_channels=blueprint.in_channels,
    )
    if pretrained_backbone:
        load_imagenet_weights(backbone)
    return ARCHITECTURES[blueprint.architecture](backbone, blueprint)
