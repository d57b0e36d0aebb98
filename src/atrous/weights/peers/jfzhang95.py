"""jfzhang95's pytorch-deeplab-xception, v3+ on ResNets: names and settings.

All blocks of a dilated stage have its rate, the last stage has unit rates (1, 2, 4), maps are
resized with aligned corners, and the decoder has two dense convolutions. A checkpoint does not say
its output stride: the library publishes those of 16.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, refuse, rename, resnet_of

CONVENTIONS = Conventions(align_corners=True, dilate_first_block=True)
_NAMES = {
    "backbone": "backbone.network",
    "aspp.aspp1.atrous_conv": "pyramid.point.0",
    "aspp.aspp1.bn": "pyramid.point.1",
    **{f"aspp.aspp{k + 2}.atrous_conv": f"pyramid.atrous.{k}.0" for k in range(3)},
    **{f"aspp.aspp{k + 2}.bn": f"pyramid.atrous.{k}.1" for k in range(3)},
    "aspp.global_avg_pool.1": "pyramid.image.0",
    "aspp.global_avg_pool.2": "pyramid.image.1",
    "aspp.conv1": "pyramid.project.0",
    "aspp.bn1": "pyramid.project.1",
    "decoder.conv1": "decoder.reduce.0",
    "decoder.bn1": "decoder.reduce.1",
    "decoder.last_conv.0": "decoder.refine.0.0",
    "decoder.last_conv.1": "decoder.refine.0.1",
}
# Dropout layers, which came later, moved what is behind them.
_WITHOUT_DROPOUT = {
    "decoder.last_conv.3": "decoder.refine.1.0",
    "decoder.last_conv.4": "decoder.refine.1.1",
    "decoder.last_conv.6": "classifier",
}
_WITH_DROPOUT = {
    "decoder.last_conv.4": "decoder.refine.1.0",
    "decoder.last_conv.5": "decoder.refine.1.1",
    "decoder.last_conv.8": "classifier",
}
_REFUSED = {
    "backbone.block1.": "its Xception orders layers as no network of timm does",
    "backbone.layer0.": "its backbone, a dilated residual network (DRN), is no network of timm",
    "backbone.features.": "its MobileNetV2 pads maps before the 1x1 convolution that expands them, "
    "not behind it, so that the borders differ from any other MobileNetV2",
}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of jfzhang95's DeepLab."""
    return "aspp.aspp1.atrous_conv.weight" in state


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of jfzhang95's in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride, by default 16; and rates, by default those that go with it.

    Raises:
        DataError: The backbone is no ResNet, or a tensor has no place in the network.
    """
    refuse(state, _REFUSED)
    with_dropout = "decoder.last_conv.8.weight" in state
    renamed = rename(state, _NAMES | (_WITH_DROPOUT if with_dropout else _WITHOUT_DROPOUT))
    keywords = {
        "architecture": "deeplabv3plus",
        "backbone": resnet_of(state, "backbone.layer3.{}.conv3.weight"),
        "num_classes": renamed["classifier.weight"].shape[0],
        "output_stride": hints.output_stride or 16,
        "rates": hints.rates,
        "multi_grid": (1, 2, 4),
        "dropout": 0.5,
        "conventions": CONVENTIONS,
    }
    return Converted(keywords, renamed)
