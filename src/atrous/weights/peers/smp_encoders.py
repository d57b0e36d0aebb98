"""The encoders of segmentation_models_pytorch: recognised by their tensors, and named as in timm.

Its own are those of torchvision, of EfficientNet-PyTorch and of timm; `tu-` ones are timm's whole
networks.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from atrous.errors import DataError
from atrous.models import Preprocessing
from atrous.models.backbone import Backbone
from atrous.models.timm_network import preprocessing_of, timm_options
from atrous.weights.peers.names import block_names, count

State = Mapping[str, Tensor]


class Encoder(NamedTuple):
    """An encoder in the words of atrous.

    Attributes:
        backbone: What timm calls it.
        names: {prefix there, behind `encoder.`: prefix here, behind `backbone.`}.
        stem: Its first convolution there.
        conventions: What differs from those of the library.
        unread: Layers behind the map that DeepLab reads.
        preprocessing: What it expects of an image; None for ImageNet's mean and deviation.
        is_timms: Whether timm makes it, and holds it at an output stride itself.
    """

    backbone: str
    names: Mapping[str, str]
    stem: str
    conventions: Mapping[str, Any] = {}
    unread: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    is_timms: bool = False


def find_encoder(state: State, name: str | None) -> Encoder:
    """Return what is known of the encoder of a checkpoint.

    Raises:
        DataError: It is of none of the known kinds, or a `tu-` one whose name is not given.
    """
    for mark, build in _ENCODERS.items():
        if f"encoder.{mark}" in state:
            return build(state)
    if any(key.startswith("encoder.model.") for key in state):
        return _timm_universal(state, name)
    raise DataError(
        f"encoder {name or ''} of segmentation_models_pytorch is not known; convert resnet*, "
        "resnext*, mobilenet_v2, efficientnet-*, timm-efficientnet-* or tu-*"
    )


_RESNETS = {  # by blocks in the third stage, and channels and taps of the first convolution
    (2, 64, 3): "resnet18",
    (6, 64, 3): "resnet34",
    (6, 64, 1): "resnet50",
    (23, 64, 1): "resnet101",
    (36, 64, 1): "resnet152",
    (6, 128, 1): "resnext50_32x4d",
    (23, 128, 1): "resnext101_32x4d",
    (23, 256, 1): "resnext101_32x8d",
    (23, 512, 1): "resnext101_32x16d",
    (23, 1024, 1): "resnext101_32x32d",
}


def _resnet(state: State) -> Encoder:
    blocks = count(state, "encoder.layer3.{}.conv1.weight")
    channels, _, taps, _ = state["encoder.layer1.0.conv1.weight"].shape
    kind = blocks, channels, taps
    if kind not in _RESNETS:
        raise DataError(f"a ResNet encoder with {kind} blocks, channels and taps is not known")
    parts = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    return Encoder(_RESNETS[kind], {part: f"network.{part}" for part in parts}, "conv1")


# Parts of the blocks of MobileNetV2, there and in timm; the first block does not widen.
_V2_FIRST = {"conv.0.0": "conv_dw", "conv.0.1": "bn1", "conv.1": "conv_pw", "conv.2": "bn2"}
_V2_BLOCK = {
    "conv.0.0": "conv_pw",
    "conv.0.1": "bn1",
    "conv.1.0": "conv_dw",
    "conv.1.1": "bn2",
    "conv.2": "conv_pwl",
    "conv.3": "bn3",
}
_V2_DEPTHS = (1, 2, 3, 4, 3, 3, 1)


def _mobilenet_v2(state: State) -> Encoder:
    """Describe MobileNetV2, the last convolution of which DeepLab reads here."""
    first, *blocks = block_names(_V2_DEPTHS)
    names = {
        "features.0.0": "network.conv_stem",
        "features.0.1": "network.bn1",
        **{f"features.1.{key}": f"network.{first}.{part}" for key, part in _V2_FIRST.items()},
        **{
            f"features.{number}.{key}": f"network.{block}.{part}"
            for number, block in enumerate(blocks, start=2)
            for key, part in _V2_BLOCK.items()
        },
        "features.18.0": "network.blocks.6.1.conv",
        "features.18.1": "network.blocks.6.1.bn1",
    }
    conventions = {"last_conv": _channels(state, "features.18.0")}
    return Encoder("mobilenetv2_100", names, "features.0.0", conventions)


# EfficientNets by the numbers of their blocks and last channels: their name, blocks in each stage,
# and the side of the image for which the padding is made.
_EFFICIENTNETS = {
    (16, 320): ("b0", (1, 2, 2, 3, 3, 4, 1), 224),
    (23, 320): ("b1", (2, 3, 3, 4, 4, 5, 2), 240),
    (23, 352): ("b2", (2, 3, 3, 4, 4, 5, 2), 260),
    (26, 384): ("b3", (2, 3, 3, 5, 5, 6, 2), 300),
    (32, 448): ("b4", (2, 4, 4, 6, 6, 8, 2), 380),
    (39, 512): ("b5", (3, 5, 5, 7, 7, 9, 3), 456),
    (45, 576): ("b6", (3, 6, 6, 8, 8, 11, 3), 528),
    (55, 640): ("b7", (4, 7, 7, 10, 10, 13, 4), 600),
}
_SE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_MB_FIRST = _SE | {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_MB_BLOCK = _SE | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _efficientnet(state: State) -> Encoder:
    """Describe an EfficientNet that pads as TensorFlow does, for one size of images."""
    number = count(state, "encoder._blocks.{}._project_conv.weight")
    kind = number, _channels(state, f"_blocks.{number - 1}._project_conv")
    if kind not in _EFFICIENTNETS:
        raise DataError(f"an EfficientNet encoder with {kind} blocks and channels is not known")
    name, depths, side = _EFFICIENTNETS[kind]
    blocks = block_names(depths)
    names = {"_conv_stem": "network.conv_stem", "_bn0": "network.bn1"} | {
        f"_blocks.{k}.{key}": f"network.{block}.{part}"
        for k, block in enumerate(blocks)
        for key, part in (_MB_FIRST if k < depths[0] else _MB_BLOCK).items()
    }
    conventions = {"tf_padding": True, "tf_padding_side": side, "even_padding": True}
    if name == "b0":  # counted to the next stage there, and dilated with it
        conventions["extra_rates"] = (("blocks.4.1", 2), ("blocks.4.2", 2))
    return Encoder(
        f"tf_efficientnet_{name}", names, "_conv_stem", conventions, ("_conv_head", "_bn1")
    )


# Those of timm, by whether they are light, number of blocks, and channels of stem and last block.
_TIMM_EFFICIENTNETS = {
    (False, 16, 32, 320): "b0",
    (False, 23, 32, 320): "b1",
    (False, 23, 32, 352): "b2",
    (False, 26, 40, 384): "b3",
    (False, 32, 48, 448): "b4",
    (False, 39, 48, 512): "b5",
    (False, 45, 56, 576): "b6",
    (False, 55, 64, 640): "b7",
    (False, 61, 72, 704): "b8",
    (True, 16, 32, 320): "lite0",
    (True, 21, 32, 320): "lite1",
    (True, 21, 32, 352): "lite2",
    (True, 24, 32, 384): "lite3",
    (True, 30, 32, 448): "lite4",
}


def _timm_efficientnet(state: State) -> Encoder:
    blocks = [key for key in state if key.startswith("encoder.blocks.") and "conv_dw" in key]
    last = count(state, "encoder.blocks.6.{}.conv_pwl.weight") - 1
    is_light = "encoder.blocks.0.0.se.conv_reduce.weight" not in state
    kind = (
        is_light,
        len(blocks),
        _channels(state, "conv_stem"),
        _channels(state, f"blocks.6.{last}.conv_pwl"),
    )
    if kind not in _TIMM_EFFICIENTNETS:
        raise DataError(f"an EfficientNet encoder with {kind[1:]} blocks and channels is not known")
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    return Encoder(
        f"efficientnet_{_TIMM_EFFICIENTNETS[kind]}",
        {part: f"network.{part}" for part in ("conv_stem", "bn1", "blocks")},
        "conv_stem",
        {"norm_eps": 1e-5},
        ("conv_head", "bn2"),
        preprocessing=half if is_light else None,
    )


def _channels(state: State, layer: str) -> int:
    """Return the channels that a convolution of the encoder gives; 0 where there is none."""
    weight = state.get(f"encoder.{layer}.weight")
    return 0 if weight is None else weight.shape[0]


def _timm_universal(state: State, name: str | None) -> Encoder:
    """Describe an encoder that timm makes, and holds at an output stride itself.

    Raises:
        DataError: The name is not given, timm does not know it, or it is of something else.
    """
    if name is None:
        raise DataError("the tensors are those of a `tu-` encoder: give its encoder_name")
    old = name.startswith("timm-mobilenetv3")
    backbone = ("tf_" if old else "") + name.removeprefix("tu-").removeprefix("timm-")
    if not timm.is_model(backbone):
        raise DataError(f"encoder {name!r} is unknown to timm")
    layers = timm.create_model(backbone, features_only=True).named_modules()
    stem = next(layer for layer, module in layers if isinstance(module, nn.Conv2d))
    if f"encoder.model.{stem}.weight" not in state:
        raise DataError(f"the tensors are not those of {name}: they have no {stem}")
    conventions: dict[str, Any] = {"dilate_first_block": False, "even_padding": True}
    if timm_options(backbone):  # which are for the ImageNet weights of atrous
        conventions["norm_eps"] = 1e-5
    in_channels = state[f"encoder.model.{stem}.weight"].shape[1]
    return Encoder(
        backbone,
        {"model": "network"},
        f"model.{stem}",
        conventions,
        preprocessing=preprocessing_of(backbone, in_channels),
        is_timms=True,
    )


def check_against_timm(state: State, keywords: Mapping[str, Any]) -> None:
    """Let timm and atrous run an encoder that timm holds at an output stride.

    Most networks are dilated alike in both. Where the two differ, as in ResNet-D, which averages
    where it strides, weights trained on one give something else on the other.

    Args:
        state: Tensors of the checkpoint.
        keywords: Those of `create_model` for it.

    Raises:
        DataError: The two give different maps, or the tensors are those of another network.
    """
    prefix = "encoder.model."
    tensors = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    name, stride = keywords["backbone"], keywords["output_stride"]
    in_channels, conventions = keywords["in_channels"], keywords["conventions"]
    options = {"features_only": True, "in_chans": in_channels, "output_stride": stride}
    theirs = timm.create_model(name, **options)
    ours = Backbone(name, output_stride=stride, in_channels=in_channels, conventions=conventions)
    try:
        theirs.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"the tensors are not those of tu-{name}: {error}") from error
    ours.network.load_state_dict(tensors)
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(1, in_channels, 9 * stride, 11 * stride, generator=noise)
    with torch.no_grad():
        expected, deep = theirs.eval()(images)[-1], ours.eval()(images).deep
    if (deep - expected).abs().max() > 1e-3 * expected.abs().max():
        raise DataError(
            f"encoder 'tu-{name}' cannot be converted at output_stride {stride}: timm dilates it "
            "in a way of its own"
        )


_ENCODERS: dict[str, Callable[[State], Encoder]] = {
    "layer1.0.conv1.weight": _resnet,
    "features.18.0.weight": _mobilenet_v2,
    "_conv_stem.weight": _efficientnet,
    "conv_stem.weight": _timm_efficientnet,
}
