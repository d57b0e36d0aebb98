"""PaddleSeg's `DeepLabV3` and `DeepLabV3P` on ResNet50_vd and ResNet101_vd: names and settings.

All blocks of a dilated stage have its rate; a shortcut that loses its stride loses its average
pooling too. The convolutions of the head have a bias although batch norm follows, and a separable
one has batch norm alone between its halves. What a checkpoint does not say is taken to be as in the
library's configurations: output stride 8, unit rates (1, 2, 4) in the last stage, and images with
mean and deviation 0.5.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions, Preprocessing
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, rename, resnet_of

CONVENTIONS = Conventions(dilate_first_block=True, dense_means=False, between="norm")
_PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_STATISTICS = {"_mean": "running_mean", "_variance": "running_var"}
_BLOCKS = {
    "head.aspp.aspp_blocks.0": "pyramid.point",
    **{f"head.aspp.aspp_blocks.{k + 1}": f"pyramid.atrous.{k}" for k in range(3)},
    "head.aspp.global_avg_pool.1": "pyramid.image",
    "head.aspp.conv_bn_relu": "pyramid.project",
    "head.decoder.conv_bn_relu1": "decoder.reduce",
    "head.decoder.conv_bn_relu2": "decoder.refine.0",
    "head.decoder.conv_bn_relu3": "decoder.refine.1",
}
# The parts of a block, dense or separable; the library spells them so.
_PARTS = {
    "_conv": "0",
    "_batch_norm": "1",
    "depthwise_conv._conv": "0",
    "depthwise_conv._batch_norm": "1",
    "piontwise_conv._conv": "2",
    "piontwise_conv._batch_norm": "3",
}
_STEM = {
    "conv1_1._conv": "conv1.0",
    "conv1_1._batch_norm": "conv1.1",
    "conv1_2._conv": "conv1.3",
    "conv1_2._batch_norm": "conv1.4",
    "conv1_3._conv": "conv1.6",
    "conv1_3._batch_norm": "bn1",
}
_BOTTLENECK = {
    **{f"conv{k}._conv": f"conv{k + 1}" for k in range(3)},
    **{f"conv{k}._batch_norm": f"bn{k + 1}" for k in range(3)},
    "short._conv": "downsample.1",
    "short._batch_norm": "downsample.2",
}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of PaddleSeg's DeepLab."""
    return "head.aspp.aspp_blocks.0._conv.weight" in state


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of PaddleSeg in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride, by default 8; and rates, by default those that go with it.

    Raises:
        DataError: The backbone is no ResNet of bottlenecks, or a tensor has no place.
    """
    resnet = resnet_of(state, "backbone.bb_2_{}.conv2._conv.weight")
    renamed = rename(_folded(state), _names(state))
    is_plus = "decoder.reduce.0.weight" in renamed
    keywords = {
        "architecture": "deeplabv3plus" if is_plus else "deeplabv3",
        "backbone": f"{resnet}d",
        "num_classes": renamed["classifier.weight"].shape[0],
        "output_stride": hints.output_stride or 8,
        "rates": hints.rates,
        "multi_grid": (1, 2, 4),
        "separable": is_plus,
        "conventions": CONVENTIONS,
    }
    return Converted(keywords, renamed, preprocessing=_PREPROCESSING)


def _folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` with the biases in front of a batch norm taken off its mean instead."""
    folded = dict(state)
    for key in state:
        block, _, name = key.rpartition("._conv.")
        if name == "bias":
            mean = f"{block}._batch_norm._mean"
            folded[mean] = state[mean] - folded.pop(key)
    return folded


def _names(state: Mapping[str, Tensor]) -> dict[str, str]:
    names = {f"backbone.{theirs}": f"backbone.network.{ours}" for theirs, ours in _STEM.items()}
    blocks = {key.split(".")[1] for key in state if key.startswith("backbone.bb_")}
    for block in blocks:
        _, stage, number = block.split("_")
        ours = f"backbone.network.layer{int(stage) + 1}.{number}"
        names |= {f"backbone.{block}.{k}": f"{ours}.{v}" for k, v in _BOTTLENECK.items()}
    names |= {
        f"{theirs}.{part}": f"{ours}.{number}"
        for theirs, ours in _BLOCKS.items()
        for part, number in _PARTS.items()
    }
    names |= {
        f"{theirs}.{statistic}": f"{ours}.{name}"
        for theirs, ours in names.items()
        if theirs.endswith("_batch_norm")
        for statistic, name in _STATISTICS.items()
    }
    return names | {"head.cls": "classifier", "head.decoder.conv": "classifier"}
