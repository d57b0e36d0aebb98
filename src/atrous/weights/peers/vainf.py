"""VainF's DeepLabV3Plus-Pytorch, `deeplabv3_*` and `deeplabv3plus_*`: names and settings.

Its ResNets are torchvision's; v3 has a 3x3 convolution behind the pyramid, and v3+ one, not two, in
the decoder, which has the early map first. A checkpoint does not say its output stride: the
library publishes those of 16. The head may be made separable, with nothing between the halves.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions
from atrous.weights.peers.names import (
    NO_HINTS,
    Converted,
    Hints,
    aspp_names,
    put_deep_map_first,
    refuse,
    rename,
    resnet_of,
)

V3 = Conventions(head_convs=1, between="nothing")
V3_PLUS = Conventions(decoder_convs=1, between="nothing")
_NUM_RATES = 3
_REFUSED = {
    "backbone.low_level_features.": "its MobileNetV2 pads maps before the 1x1 convolution that "
    "expands them, not behind it, so that the borders differ from any other MobileNetV2",
    "backbone.transition1.": "its HRNet joins four maps, and is no backbone of timm",
}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of VainF's DeepLab."""
    marks = ("classifier.classifier.0.convs.0.0.weight", "classifier.aspp.convs.0.0.weight")
    return any(mark in state for mark in marks)


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of VainF's in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride, by default 16; and rates, by default those that go with it.

    Raises:
        DataError: The backbone is no ResNet, or a tensor has no place in the network.
    """
    refuse(state, _REFUSED)
    is_plus = "classifier.project.0.weight" in state
    aspp = "classifier.aspp" if is_plus else "classifier.classifier.0"
    separable = f"{aspp}.convs.1.0.body.0.weight" in state
    renamed = rename(state, _plus_names(separable) if is_plus else _v3_names(separable))
    keywords = {
        "architecture": "deeplabv3plus" if is_plus else "deeplabv3",
        "backbone": resnet_of(state, "backbone.layer3.{}.conv3.weight"),
        "num_classes": renamed["classifier.weight"].shape[0],
        "output_stride": hints.output_stride or 16,
        "rates": hints.rates,
        "separable": separable,
        "conventions": V3_PLUS if is_plus else V3,
    }
    return Converted(keywords, put_deep_map_first(renamed) if is_plus else renamed)


def _v3_names(separable: bool) -> dict[str, str]:
    theirs = "classifier.classifier"
    return {
        **_encoder_names(f"{theirs}.0", separable),
        **_block(f"{theirs}.1", f"{theirs}.2", "head.0", separable=separable),
        f"{theirs}.4": "classifier",
    }


def _plus_names(separable: bool) -> dict[str, str]:
    theirs = "classifier.classifier"
    return {
        **_encoder_names("classifier.aspp", separable),
        "classifier.project": "decoder.reduce",
        **_block(f"{theirs}.0", f"{theirs}.1", "decoder.refine.0", separable=separable),
        f"{theirs}.3": "classifier",
    }


def _encoder_names(aspp: str, separable: bool) -> dict[str, str]:
    names = {"backbone": "backbone.network", **aspp_names(aspp, "pyramid", num_rates=_NUM_RATES)}
    for k in range(_NUM_RATES):
        branch = f"{aspp}.convs.{k + 1}"
        names |= _block(f"{branch}.0", f"{branch}.1", f"pyramid.atrous.{k}", separable=separable)
    return names


def _block(conv: str, norm: str, ours: str, *, separable: bool) -> dict[str, str]:
    """Return the names of a convolution with batch norm; `body` has the halves of a separable."""
    if separable:
        return {f"{conv}.body.0": f"{ours}.0", f"{conv}.body.1": f"{ours}.1", norm: f"{ours}.2"}
    return {conv: f"{ours}.0", norm: f"{ours}.1"}
