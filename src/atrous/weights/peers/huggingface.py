"""transformers' `MobileNetV2ForSemanticSegmentation` and `MobileViTForSemanticSegmentation`.

The head of MobileNetV2, `MobileNetV2DeepLabV3Plus`, is v3 without any rate: a 1x1 convolution and
image pooling, the latter first. Its backbone pads as TensorFlow does, with batch norm's epsilon of
1e-3. MobileViT has v3 with all its branches; where its last stages lose their strides, the blocks
with attention are not dilated. Both give logits on the grid of the deepest map.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from atrous.errors import DataError
from atrous.models import Conventions, Preprocessing
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, block_names, rename

State = Mapping[str, Tensor]

MOBILENET_V2 = Conventions(tf_padding=True, even_padding=True, norm_eps=1e-3)
MOBILEVIT = Conventions(undilated=("stages_2.1", "stages_3.1", "stages_4.1"), last_conv=0)
_RATES = (6, 12, 18)

# timm's names by the channels of the deepest map.
_MOBILENETS = {
    112: "mobilenetv2_035",
    160: "mobilenetv2_050",
    240: "mobilenetv2_075",
    320: "mobilenetv2_100",
    448: "mobilenetv2_140",
}
_MOBILEVITS = {80: "mobilevit_xxs", 96: "mobilevit_xs", 160: "mobilevit_s"}

# {name there: (convolution, batch norm) here}
_Layers = Mapping[str, tuple[str, str]]
_V2_DEPTHS = (1, 2, 3, 4, 3, 3, 1)
_V2_STEM: _Layers = {
    "conv_stem.first_conv": ("conv_stem", "bn1"),
    "conv_stem.conv_3x3": ("blocks.0.0.conv_dw", "blocks.0.0.bn1"),
    "conv_stem.reduce_1x1": ("blocks.0.0.conv_pw", "blocks.0.0.bn2"),
}
_V2_BLOCK: _Layers = {
    "expand_1x1": ("conv_pw", "bn1"),
    "conv_3x3": ("conv_dw", "bn2"),
    "reduce_1x1": ("conv_pwl", "bn3"),
}
_V2_HEAD: _Layers = {
    "segmentation_head.conv_aspp": ("pyramid.point.0", "pyramid.point.1"),
    "segmentation_head.conv_pool": ("pyramid.image.0", "pyramid.image.1"),
    "segmentation_head.conv_projection": ("pyramid.project.0", "pyramid.project.1"),
}
_VIT_CONVS: _Layers = {
    "expand_1x1": ("conv1_1x1.conv", "conv1_1x1.bn"),
    "conv_3x3": ("conv2_kxk.conv", "conv2_kxk.bn"),
    "reduce_1x1": ("conv3_1x1.conv", "conv3_1x1.bn"),
}
_VIT_MIXING: _Layers = {
    "conv_kxk": ("conv_kxk.conv", "conv_kxk.bn"),
    "conv_1x1": ("conv_1x1", ""),
    "conv_projection": ("conv_proj.conv", "conv_proj.bn"),
    "fusion": ("conv_fusion.conv", "conv_fusion.bn"),
}
_VIT_TRANSFORMER = {
    "layernorm_before": "norm1",
    "attention.attention.qkv": "attn.qkv",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_VIT_DEPTHS = {2: 2, 3: 4, 4: 3}  # transformer layers by stage
_VIT_HEAD: _Layers = {
    "segmentation_head.aspp.convs.0": ("pyramid.point.0", "pyramid.point.1"),
    **{
        f"segmentation_head.aspp.convs.{k + 1}": (f"pyramid.atrous.{k}.0", f"pyramid.atrous.{k}.1")
        for k in range(len(_RATES))
    },
    "segmentation_head.aspp.convs.4.conv_1x1": ("pyramid.image.0", "pyramid.image.1"),
    "segmentation_head.aspp.project": ("pyramid.project.0", "pyramid.project.1"),
}
_CLASSIFIER = {"segmentation_head.classifier.convolution": "classifier"}


def recognises(state: State) -> bool:
    """Return whether these are tensors of one of the two networks."""
    return _is_mobilenet(state) or "segmentation_head.aspp.project.convolution.weight" in state


def convert(state: State, hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of transformers in the words of atrous.

    Args:
        state: Its tensors.
        hints: `output_stride`, by default that of the published checkpoints, 8 for MobileNetV2 and
            16 for MobileViT; and `atrous_rates` of MobileViT.

    Raises:
        DataError: timm has no such width, or a tensor has no place in the network.
    """
    build = _mobilenet_v2 if _is_mobilenet(state) else _mobilevit
    converted = build(state, hints)
    converted.keywords["architecture"] = "deeplabv3"
    converted.keywords["num_classes"] = converted.state["classifier.weight"].shape[0]
    return converted


def _is_mobilenet(state: State) -> bool:
    return "segmentation_head.conv_aspp.convolution.weight" in state


def _mobilenet_v2(state: State, hints: Hints) -> Converted:
    names = _CLASSIFIER | _layer_names(_V2_HEAD)
    names |= _layer_names(_V2_STEM, "mobilenet_v2.", "backbone.network.")
    for k, block in enumerate(block_names(_V2_DEPTHS)[1:]):
        names |= _layer_names(_V2_BLOCK, f"mobilenet_v2.layer.{k}.", f"backbone.network.{block}.")
    unread = "it lies behind the map that DeepLab reads"
    dropped = {key: unread for key in state if key.startswith("mobilenet_v2.conv_1x1.")}
    renamed = rename({key: state[key] for key in state if key not in dropped}, names)
    project = "pyramid.project.0.weight"
    renamed[project] = torch.cat(renamed[project].chunk(2, dim=1)[::-1], dim=1)  # pool comes first
    keywords = {
        "backbone": _backbone_name(_MOBILENETS, renamed),
        "output_stride": hints.output_stride or 8,
        "rates": (),
        "in_channels": renamed["backbone.network.conv_stem.weight"].shape[1],
        "conventions": MOBILENET_V2,
    }
    half = Preprocessing(
        mean=(0.5,) * keywords["in_channels"], std=(0.5,) * keywords["in_channels"]
    )
    return Converted(keywords, renamed, dropped, half)


def _mobilevit(state: State, hints: Hints) -> Converted:
    renamed = rename(_with_joined_attention(state), _mobilevit_names())
    stem = "backbone.network.stem.conv.weight"
    renamed[stem] = renamed[stem].flip(1)  # it is given blue first
    in_channels = renamed[stem].shape[1]
    keywords = {
        "backbone": _backbone_name(_MOBILEVITS, renamed),
        "output_stride": hints.output_stride or 16,
        "rates": hints.rates or _RATES,
        "channels": renamed["pyramid.project.0.weight"].shape[0],
        "in_channels": in_channels,
        "conventions": MOBILEVIT,
    }
    unit = Preprocessing(mean=(0.0,) * in_channels, std=(1.0,) * in_channels)
    return Converted(keywords, renamed, preprocessing=unit)


def _backbone_name(known: Mapping[int, str], renamed: State) -> str:
    """Return timm's name of a backbone whose deepest map has the channels that the head reads.

    Raises:
        DataError: There is none.
    """
    channels = renamed["pyramid.point.0.weight"].shape[1]
    if channels not in known:
        widths = ", ".join(map(str, known))
        raise DataError(f"its deepest map has {channels} channels; known are those of {widths}")
    return known[channels]


def _mobilevit_names() -> dict[str, str]:
    names = _CLASSIFIER | _layer_names(_VIT_HEAD)
    names |= _layer_names(
        {"mobilevit.conv_stem": ("stem.conv", "stem.bn")}, "", "backbone.network."
    )
    for stage, depth in ((0, 1), (1, 3)):
        for k in range(depth):
            theirs = f"mobilevit.encoder.layer.{stage}.layer.{k}."
            names |= _layer_names(_VIT_CONVS, theirs, f"backbone.network.stages_{stage}.{k}.")
    for stage, depth in _VIT_DEPTHS.items():
        theirs, ours = f"mobilevit.encoder.layer.{stage}.", f"backbone.network.stages_{stage}."
        names |= _layer_names(_VIT_CONVS, f"{theirs}downsampling_layer.", f"{ours}0.")
        names |= _layer_names(_VIT_MIXING, theirs, f"{ours}1.")
        names[f"{theirs}layernorm"] = f"{ours}1.norm"
        names |= {
            f"{theirs}transformer.layer.{k}.{key}": f"{ours}1.transformer.{k}.{part}"
            for k in range(depth)
            for key, part in _VIT_TRANSFORMER.items()
        }
    return names


def _layer_names(layers: _Layers, theirs: str = "", ours: str = "") -> dict[str, str]:
    """Return {prefix there: prefix here} for the convolution and the batch norm of each layer."""
    parts = ("convolution", "normalization")
    return {
        f"{theirs}{key}.{part}": f"{ours}{name}"
        for key, names in layers.items()
        for part, name in zip(parts, names, strict=True)
    }


def _with_joined_attention(state: State) -> dict[str, Tensor]:
    """Return the tensors with query, key and value in one, as timm has them."""
    marker = ".attention.attention."
    joined = {key: tensor for key, tensor in state.items() if marker not in key}
    for key in state:
        if f"{marker}query." in key:
            three = [state[key.replace("query", part)] for part in ("query", "key", "value")]
            joined[key.replace("query", "qkv")] = torch.cat(three)
    return joined
