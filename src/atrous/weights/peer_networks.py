"""The libraries' own networks, where they are installed: to compare with, and for their names."""

from importlib.metadata import version

from torch import nn

from atrous.models import Blueprint
from atrous.weights.peers.names import Hints

_TORCHVISION = {
    ("deeplabv3", "resnet50"): "deeplabv3_resnet50",
    ("deeplabv3", "resnet101"): "deeplabv3_resnet101",
    ("deeplabv3", "mobilenetv3_large_100"): "deeplabv3_mobilenet_v3_large",
    ("lraspp", "mobilenetv3_large_100"): "lraspp_mobilenet_v3_large",
}
# timm's names of segmentation_models_pytorch's encoders, where they differ; resnet34 is resnet34.
_ENCODERS = {
    "mobilenetv2_100": "mobilenet_v2",
    "tf_efficientnet_": "efficientnet-",
    "efficientnet_lite": "timm-tf_efficientnet_lite",
    "efficientnet_": "timm-efficientnet-",
}
_SMP = {"deeplabv3": "DeepLabV3", "deeplabv3plus": "DeepLabV3Plus"}


def library_network(library: str, blueprint: Blueprint, hints: Hints) -> nn.Module | None:
    """Return a library's network with random weights, or None where it cannot be had.

    Args:
        library: A name of `PEERS`.
        blueprint: Architecture, backbone, classes and heads of the converted network.
        hints: The library's own name of the backbone, where it differs.
    """
    build = {"torchvision": _torchvision, "smp": _smp}.get(library)
    return build(blueprint, hints) if build else None


def described(library: str) -> str:
    """Return the name and version of an installed library."""
    package = {"smp": "segmentation_models_pytorch"}.get(library, library)
    return f"{package} {version(package).partition('+')[0]}"


def encoder_name(blueprint: Blueprint) -> str:
    """Return what segmentation_models_pytorch calls a backbone."""
    backbone = _without_tag(blueprint.backbone)
    if not blueprint.conventions.dilate_first_block:  # only those that timm dilates are so
        return f"tu-{backbone}"
    starts = (start for start in _ENCODERS if backbone.startswith(start))
    start = next(starts, "")
    return _ENCODERS.get(start, "") + backbone.removeprefix(start)


def _without_tag(backbone: str) -> str:
    """Return timm's name without what it says of the weights, as in `resnet50.tv_in1k`."""
    return backbone.partition(".")[0]


def _torchvision(blueprint: Blueprint, hints: Hints) -> nn.Module | None:
    from torchvision.models import segmentation

    name = _TORCHVISION.get((blueprint.architecture, _without_tag(blueprint.backbone)))
    if name is None or hints.rates is not None:  # its rates are fixed
        return None
    options = {"weights": None, "weights_backbone": None, "num_classes": blueprint.num_classes}
    if blueprint.architecture == "deeplabv3":
        options["aux_loss"] = blueprint.aux_head
    return getattr(segmentation, name)(**options)


def _smp(blueprint: Blueprint, hints: Hints) -> nn.Module | None:
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        return None
    name = hints.backbone or encoder_name(blueprint)
    is_known = name in smp.encoders.encoders or name.startswith("tu-")
    if blueprint.architecture not in _SMP or not is_known:
        return None
    return getattr(smp, _SMP[blueprint.architecture])(
        encoder_name=name,
        encoder_weights=None,
        encoder_output_stride=blueprint.output_stride,
        decoder_channels=blueprint.channels or 256,
        decoder_atrous_rates=blueprint.rates,
        decoder_aspp_separable=blueprint.separable,
        in_channels=blueprint.in_channels,
        classes=blueprint.num_classes,
    )
