"""mmsegmentation's `ASPPHead` (v3) and `DepthwiseSeparableASPPHead` (v3+): names and settings.

Its pyramid is 512 wide, is fused by a 3x3 convolution, and has the pooled branch first. A dilated
stage's first block keeps the old rate. A checkpoint does not say its output stride: all of the
library's own at 16 have the rates 1, 2 and 4 in the last stage, not multiplied by the stage's (its
`multi_grid`), and those at 8 have no such rates. Nor does it say whether maps are resized with
aligned corners, as in training on crops of 769 pixels; it is taken that they are not.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, refuse, rename, resnet_of

CONVENTIONS = Conventions(projection_kernel=3)
_REFUSED = {
    "backbone.layer1.0.conv2.conv.": "its backbone is a ResNeSt, with attention in its blocks",
    "backbone.encoder.": "its backbone is a U-Net, which atrous does not have",
}
_NUM_RATES = 3
_BLOCKS = {
    "decode_head.aspp_modules.0": "pyramid.point",
    "decode_head.image_pool.1": "pyramid.image",
    "decode_head.bottleneck": "pyramid.project",
    "decode_head.c1_bottleneck": "decoder.reduce",
    "decode_head.sep_bottleneck.0": "decoder.refine.0",
    "decode_head.sep_bottleneck.1": "decoder.refine.1",
    "auxiliary_head.convs.0": "auxiliary.0",
}
# The parts of a block, dense or separable.
_PARTS = {
    "conv": "0",
    "bn": "1",
    "depthwise_conv.conv": "0",
    "depthwise_conv.bn": "1",
    "pointwise_conv.conv": "3",
    "pointwise_conv.bn": "4",
}
_OTHERS = {
    "backbone": "backbone.network",
    **{f"backbone.stem.{k}": f"backbone.network.conv1.{k}" for k in (0, 1, 3, 4, 6)},
    "backbone.stem.7": "backbone.network.bn1",
    "decode_head.conv_seg": "classifier",
    "auxiliary_head.conv_seg": "auxiliary.2",
}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of mmsegmentation's DeepLab."""
    marks = {"decode_head.aspp_modules.0.conv.weight", "decode_head.image_pool.1.conv.weight"}
    return marks <= state.keys()


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of mmsegmentation in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride, by default 8; and rates, by default those that go with it.

    Raises:
        DataError: The backbone is no ResNet of bottlenecks, or a tensor has no place.
    """
    is_plus = "decode_head.c1_bottleneck.conv.weight" in state
    backbone, output_stride = _backbone(state), hints.output_stride or 8
    renamed = rename(state, _names(len(hints.rates or ()) or _NUM_RATES))
    project = renamed["pyramid.project.0.weight"]
    width = project.shape[0]
    renamed["pyramid.project.0.weight"] = project.roll(-width, dims=1)  # the pooled branch: last
    keywords = {
        "architecture": "deeplabv3plus" if is_plus else "deeplabv3",
        "backbone": backbone,
        "num_classes": state["decode_head.conv_seg.weight"].shape[0],
        "output_stride": output_stride,
        "rates": hints.rates,
        "multi_grid": (0.5, 1, 2) if output_stride == 16 else None,  # times the stage's rate, 2
        "channels": width,
        "separable": is_plus,
        "aux_head": "auxiliary_head.conv_seg.weight" in state,
        "conventions": CONVENTIONS,
    }
    return Converted(keywords, renamed)


def _names(num_rates: int) -> dict[str, str]:
    rates = range(num_rates)
    blocks = _BLOCKS | {f"decode_head.aspp_modules.{k + 1}": f"pyramid.atrous.{k}" for k in rates}
    return _OTHERS | {
        f"{theirs}.{part}": f"{ours}.{number}"
        for theirs, ours in blocks.items()
        for part, number in _PARTS.items()
    }


def _backbone(state: Mapping[str, Tensor]) -> str:
    """Return timm's name of the backbone; "c" stands for a stem of three convolutions."""
    refuse(state, _REFUSED)
    stem = "c" if "backbone.stem.0.weight" in state else ""
    return resnet_of(state, "backbone.layer3.{}.conv3.weight") + stem
