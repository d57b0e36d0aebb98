"""detectron2's DeepLab project, `DeepLabV3Head` and `DeepLabV3PlusHead`: names and settings.

All blocks of a dilated stage have its rate, and the last stage has unit rates (1, 2, 4). The pooled
branch has a bias in place of batch norm, and the decoder has the early map first: two dense 3x3
convolutions, or one separable 5x5. What a checkpoint does not say is taken to be as in the
project's configurations: output stride 16, strides in the 3x3 convolutions, RGB images.

Logits are the same for images whose sides are multiples of the output stride; detectron2 enlarges
maps by whole factors and cuts what is too much. Trained on crops, it pools over windows of a crop's
size, not the whole map: the same for images of that size.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from atrous.errors import DataError
from atrous.models import Conventions, Preprocessing
from atrous.weights.peers.names import (
    NO_HINTS,
    Converted,
    Hints,
    put_deep_map_first,
    rename,
    resnet_of,
)

DENSE = Conventions(dilate_first_block=True)
SEPARABLE = Conventions(dilate_first_block=True, decoder_convs=1, decoder_kernel=5)
_V3, _PLUS = "sem_seg_head.aspp", "sem_seg_head.decoder.res5.project_conv"
_EARLY = "sem_seg_head.decoder.res2"
_EPS = 1e-5  # of batch norm
_DROPPED = dict.fromkeys(("pixel_mean", "pixel_std"), "they are kept as preprocessing")
# The parts of a convolution with batch norm, or of a separable one; the batch norm stands inside.
_PARTS = {
    "": "0",
    ".norm": "1",
    ".depthwise": "0",
    ".depthwise.norm": "1",
    ".pointwise": "3",
    ".pointwise.norm": "4",
}
_BOTTLENECK = {
    **{f"conv{k}": f"conv{k}" for k in (1, 2, 3)},
    **{f"conv{k}.norm": f"bn{k}" for k in (1, 2, 3)},
    "shortcut": "downsample.0",
    "shortcut.norm": "downsample.1",
}
_STEM = {"conv1": "conv1", "conv1.norm": "bn1"}
_DEEP_STEM = {
    "conv1": "conv1.0",
    "conv1.norm": "conv1.1",
    "conv2": "conv1.3",
    "conv2.norm": "conv1.4",
    "conv3": "conv1.6",
    "conv3.norm": "bn1",
}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of detectron2's DeepLab."""
    return any(f"{aspp}.convs.0.weight" in state for aspp in (_V3, _PLUS))


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of detectron2 in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride, by default 16; and rates, by default those that go with it.

    Raises:
        DataError: The head has no batch norm, the backbone is no ResNet, or a tensor has no place.
    """
    is_plus = f"{_PLUS}.convs.0.weight" in state
    aspp = _PLUS if is_plus else _V3
    if f"{aspp}.project.norm.running_mean" not in state:
        raise DataError("detectron2's head has no batch norm (NORM is GN or empty), which ours has")
    backbone, backbone_names = _backbone(state)
    names = backbone_names | _head_names(aspp)
    tensors = {key: tensor for key, tensor in state.items() if key not in _DROPPED}
    renamed = _with_pooled_norm(rename(tensors, names))
    separable_decoder = f"{_EARLY}.fuse_conv.depthwise.weight" in state
    keywords = {
        "architecture": "deeplabv3plus" if is_plus else "deeplabv3",
        "backbone": backbone,
        "num_classes": renamed["classifier.weight"].shape[0],
        "output_stride": hints.output_stride or 16,
        "rates": hints.rates,
        "multi_grid": (1, 2, 4),
        "channels": renamed["pyramid.project.0.weight"].shape[0],
        "separable": f"{aspp}.convs.1.depthwise.weight" in state,
        "separable_decoder": separable_decoder,
        "conventions": SEPARABLE if separable_decoder else DENSE,
    }
    dropped = {key: reason for key, reason in _DROPPED.items() if key in state}
    ordered = put_deep_map_first(renamed) if is_plus else renamed
    return Converted(keywords, ordered, dropped, _preprocessing(state))


def _backbone(state: Mapping[str, Tensor]) -> tuple[str, dict[str, str]]:
    """Return timm's name of the backbone, and the names in it; "s" stands for DeepLab's stem."""
    resnet = resnet_of(state, "backbone.res4.{}.conv3.weight")
    deep = "backbone.stem.conv2.weight" in state
    stem = _DEEP_STEM if deep else _STEM
    blocks = {tuple(key.split(".")[1:3]) for key in state if key.startswith("backbone.res")}
    names = {f"backbone.stem.{theirs}": f"backbone.network.{ours}" for theirs, ours in stem.items()}
    for stage, block in blocks:
        ours = f"backbone.network.layer{int(stage[3:]) - 1}.{block}"
        names |= {f"backbone.{stage}.{block}.{k}": f"{ours}.{v}" for k, v in _BOTTLENECK.items()}
    return resnet + ("s" if deep else ""), names


def _head_names(aspp: str) -> dict[str, str]:
    blocks = {
        f"{aspp}.convs.0": "pyramid.point",
        **{f"{aspp}.convs.{k + 1}": f"pyramid.atrous.{k}" for k in range(3)},
        f"{aspp}.convs.4.1": "pyramid.image",
        f"{aspp}.project": "pyramid.project",
        f"{_EARLY}.project_conv": "decoder.reduce",
        f"{_EARLY}.fuse_conv": "decoder.refine.0",
        f"{_EARLY}.fuse_conv.0": "decoder.refine.0",
        f"{_EARLY}.fuse_conv.1": "decoder.refine.1",
    }
    parts = {
        f"{theirs}{part}": f"{ours}.{number}"
        for theirs, ours in blocks.items()
        for part, number in _PARTS.items()
    }
    return parts | {"sem_seg_head.predictor": "classifier"}


def _with_pooled_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` with a batch norm in the pooled branch that only adds what its bias did."""
    kept = dict(state)
    bias = kept.pop("pyramid.image.0.bias")
    return kept | {
        "pyramid.image.1.weight": torch.ones_like(bias),
        "pyramid.image.1.bias": bias,
        "pyramid.image.1.running_mean": torch.zeros_like(bias),
        "pyramid.image.1.running_var": torch.full_like(bias, 1 - _EPS),
    }


def _preprocessing(state: Mapping[str, Tensor]) -> Preprocessing | None:
    """Return what older versions of the library keep with the weights, for values to 255."""
    if not _DROPPED.keys() <= state.keys():
        return None
    mean, std = ((state[key].double().flatten() / 255).tolist() for key in _DROPPED)
    return Preprocessing(tuple(mean), tuple(std))
