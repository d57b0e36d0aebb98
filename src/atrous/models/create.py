"""From a name and a few numbers to a network."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from atrous.errors import UsageError, explain
from atrous.models.backbone import Backbone
from atrous.models.blueprint import Blueprint
from atrous.models.conventions import Conventions
from atrous.models.deeplabv2 import DeepLabV2
from atrous.models.deeplabv3 import DeepLabV3
from atrous.models.deeplabv3plus import DeepLabV3Plus
from atrous.models.lraspp import LRASPP
from atrous.models.pretrained import load_imagenet_weights
from atrous.models.pyramids import PYRAMIDS, paper_rates
from atrous.models.segmentation_model import SegmentationModel


class Architecture(NamedTuple):
    """One network of the family.

    Attributes:
        kind: Its class.
        pyramids: Those it takes; the first is its paper's own.
        output_stride: Its paper's, in image pixels per cell.
        dropout: Probability that a value behind the pyramid is dropped in training.
    """

    kind: type[SegmentationModel]
    pyramids: tuple[str, ...]
    output_stride: int
    dropout: float


# v1 and v2 drop half of fc6 and fc7, as VGG-16 does. The papers on v3 and v3+ name no dropout; 0.1
# is what their authors' TensorFlow code drops behind the pyramid.
_PYRAMIDS_WITH_MAPS = ("aspp", "cascade", "dense_aspp", "wasp", "dpc")
ARCHITECTURES = {
    "deeplabv1": Architecture(DeepLabV2, ("large_fov",), 8, 0.5),
    "deeplabv2": Architecture(DeepLabV2, ("aspp_v2", "large_fov"), 8, 0.5),
    "deeplabv3": Architecture(DeepLabV3, _PYRAMIDS_WITH_MAPS, 16, 0.1),
    "deeplabv3plus": Architecture(DeepLabV3Plus, _PYRAMIDS_WITH_MAPS, 16, 0.1),
    "lraspp": Architecture(LRASPP, ("lr_aspp",), 16, 0.0),
}


def create_model(  # noqa: PLR0913, the numbers of the papers, all by keyword
    architecture: str,
    *,
    backbone: str,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    palette: Sequence[tuple[int, int, int]] | None = None,
    output_stride: int | None = None,
    pyramid: str | None = None,
    rates: Sequence[int] | Sequence[tuple[int, int]] | None = None,
    multi_grid: Sequence[float] | None = None,
    separable: bool = False,
    separable_decoder: bool | None = None,
    shared_kernel: bool = False,
    image_pooling: bool = True,
    kernel_size: int = 3,
    channels: int | None = None,
    scales: Sequence[float] = (1.0,),
    aux_head: bool = False,
    dropout: float | None = None,
    in_channels: int = 3,
    conventions: Conventions | Mapping[str, Any] | None = None,
    pretrained_backbone: bool = False,
) -> SegmentationModel:
    """Build a network of the DeepLab family.

    Args:
        architecture: `deeplabv1`, `deeplabv2`, `deeplabv3`, `deeplabv3plus` or `lraspp`.
        backbone: Any convolutional timm network, such as `resnet50`; `vgg16` is that of v1 and v2.
        num_classes: Number K of classes; not needed when `classes` is given.
        classes: Their names, in the order of the logits.
        palette: One (red, green, blue) for each class.
        output_stride: Image pixels per cell of the deepest map: 4, 8, 16 or 32; by default the
            paper's, 8 for v1 and v2 and 16 for the others.
        pyramid: `aspp`, `cascade`, `dense_aspp`, `wasp` or `dpc` for v3 and v3+, `aspp_v2` or
            `large_fov` for v2; by default the paper's own, the first of each.
        rates: Rates of the pyramid in cells; by default those of its paper for this output stride.
        multi_grid: One unit rate for each block of the last stage, such as (1, 2, 4); the same for
            the units of a `cascade`.
        separable: Make the 3x3 convolutions of pyramid and decoder depthwise separable, as v3+ does
            for fewer parameters.
        separable_decoder: The same for what follows the pyramid alone; by default as `separable`.
        shared_kernel: Let all rates of `aspp` use one 3x3 kernel.
        image_pooling: Whether `aspp` has a branch for the mean over the map.
        kernel_size: Taps of `large_fov` along each axis: 3, or 4 or 7 as in the tables of v1.
        channels: Width of the pyramid; by default its paper's.
        scales: Sizes at which each image is read, such as (0.5, 0.75, 1.0); the highest logit wins
            (v2).
        aux_head: Classify an early map too, for deep supervision in training.
        dropout: Probability in [0, 1) that a value behind the pyramid is dropped in training; by
            default 0.5 for v1 and v2, 0.1 for v3 and v3+.
        in_channels: Channels of the images.
        conventions: What another library does differently, for weights of its own.
        pretrained_backbone: Start the backbone from its ImageNet weights.

    Returns:
        The network in training mode: preprocessed images (B, in_channels, H, W) of any size to
        logits (B, K, H, W).

    Raises:
        UsageError: An unknown architecture, pyramid or backbone, or a backbone that cannot have
            this output stride; a value out of range; or the ImageNet weights are not to be had.

    Example:
        >>> import torch
        >>> model = create_model("deeplabv3plus", backbone="resnet18", num_classes=19)
        >>> model(torch.zeros(1, 3, 97, 65)).shape
        torch.Size([1, 19, 97, 65])
    """
    family = find_architecture(architecture)
    stride = family.output_stride if output_stride is None else output_stride
    number = len(classes) if num_classes is None and classes is not None else num_classes
    try:
        paper = paper_rates(pyramid or family.pyramids[0], stride, kernel_size)
        blueprint = Blueprint.model_validate(
            {
                "architecture": architecture,
                "backbone": backbone,
                "num_classes": number,
                "output_stride": stride,
                "pyramid": pyramid or family.pyramids[0],
                "rates": paper if rates is None else tuple(rates),
                "multi_grid": multi_grid,
                "separable": separable,
                "separable_decoder": separable if separable_decoder is None else separable_decoder,
                "shared_kernel": shared_kernel,
                "image_pooling": image_pooling,
                "kernel_size": kernel_size,
                "channels": channels,
                "scales": tuple(scales),
                "aux_head": aux_head,
                "dropout": family.dropout if dropout is None else dropout,
                "in_channels": in_channels,
                "conventions": conventions or Conventions(),
            }
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
        UsageError: An unknown architecture, pyramid or backbone, or one without this output stride.
    """
    architecture = find_architecture(blueprint.architecture)
    _look_up(
        f"pyramid of {blueprint.architecture}",
        blueprint.pyramid,
        dict.fromkeys(architecture.pyramids),
    )
    _refuse_idle_options(blueprint)
    backbone = Backbone(
        blueprint.backbone,
        output_stride=blueprint.output_stride,
        in_channels=blueprint.in_channels,
        multi_grid=blueprint.multi_grid,
        conventions=blueprint.conventions,
    )
    if pretrained_backbone:
        load_imagenet_weights(backbone)
    try:
        return architecture.kind(backbone, blueprint)
    except ValueError as error:
        raise UsageError(f"pyramid {blueprint.pyramid!r}: {error}") from error


def _refuse_idle_options(blueprint: Blueprint) -> None:
    """Raise where an option is given that the chosen pyramid does not have."""
    has_decoder = blueprint.architecture == "deeplabv3plus"
    idle = {
        "kernel_size": blueprint.kernel_size != 3 and blueprint.pyramid != "large_fov",
        "shared_kernel": blueprint.shared_kernel and blueprint.pyramid != "aspp",
        "image_pooling": not blueprint.image_pooling and blueprint.pyramid != "aspp",
        "channels": blueprint.channels is not None
        and blueprint.pyramid == "cascade"
        and not has_decoder,
        "rates": bool(blueprint.rates) and blueprint.pyramid not in PYRAMIDS,
        "separable": blueprint.separable
        and blueprint.pyramid in ("large_fov", "aspp_v2", "cascade", "lr_aspp")
        and not has_decoder,
        "separable_decoder": blueprint.separable_decoder
        and not blueprint.separable
        and not has_decoder,
    }
    for option in (option for option, is_idle in idle.items() if is_idle):
        raise UsageError(
            f"{blueprint.architecture} with pyramid {blueprint.pyramid!r} has no use for {option}; "
            "leave it out"
        )


def find_architecture(name: str) -> Architecture:
    """Return what an architecture is made of.

    Raises:
        UsageError: It is unknown; the message names what is near.
    """
    return _look_up("architecture", name, ARCHITECTURES)


def _look_up(what: str, name: str, known: Mapping[str, Any]) -> Any:
    """Return what `name` stands for.

    Raises:
        UsageError: It is unknown; the message names what is near.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name).replace("+", "plus"), known, n=1)
        raise UsageError(f"{what} {name!r} is unknown; use {' or '.join(near or known)}")
    return known[name]
