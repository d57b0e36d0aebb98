"""kazuto1011's deeplab-pytorch, v2, v3 and v3+ on ResNet-101: names and settings.

It follows the authors' Caffe networks: bottlenecks stride in their first 1x1 convolution, so that
the 3x3 behind it has the stage's new rate; the stem's pooling counts a last window that leaves the
map; images are blue first, 0 to 255, less a mean. v2 has output stride 8, v3 and v3+ have unit
rates (1, 2, 4). A wrapper, MSC, reads images at sizes of 0.5, 0.75 and 1.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from atrous.errors import DataError
from atrous.models import Conventions, Preprocessing
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, rename, resnet_of

State = Mapping[str, Tensor]

CONVENTIONS = Conventions(stride_in_1x1=True, ceil_stem=True)
PREPROCESSING = Preprocessing(
    mean=(122.675 / 255, 116.669 / 255, 104.008 / 255), std=(1 / 255,) * 3
)
_WRAPPERS = ("base.", "scale.")  # the second in its first year
_SCALES = (0.5, 0.75, 1.0)
_MOST_BLOCKS = 36  # of ResNet-152's third stage

# {name there: (convolution, batch norm) here}
_BLOCK = {
    "reduce": ("conv1", "bn1"),
    "conv3x3": ("conv2", "bn2"),
    "increase": ("conv3", "bn3"),
    "shortcut": ("downsample.0", "downsample.1"),
}
_V2_HEAD = {f"aspp.c{k}": f"pyramid.branches.{k}" for k in range(4)}
_ASPP = {
    "aspp.stages.c0": "pyramid.point",
    **{f"aspp.stages.c{k + 1}": f"pyramid.atrous.{k}" for k in range(3)},
    "aspp.stages.imagepool.conv": "pyramid.image",
    "fc1": "pyramid.project",
}
_DECODER = {
    "reduce": "decoder.reduce",
    "fc2.conv1": "decoder.refine.0",
    "fc2.conv2": "decoder.refine.1",
}


def recognises(state: State) -> bool:
    """Return whether these are tensors of kazuto1011's DeepLab."""
    heads = ("aspp.c0.weight", "aspp.stages.c0.conv.weight")
    return any(f"{wrapper}{head}" in state for wrapper in ("", *_WRAPPERS) for head in heads)


def convert(state: State, hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of kazuto1011's in the words of atrous.

    Args:
        state: Its tensors.
        hints: The output stride of v3 and v3+, by default 16; and rates, by default those that go
            with it, or ASPP-L's (6, 12, 18, 24) in v2; ASPP-S has (3, 6, 9, 12) here.

    Raises:
        DataError: It is v3+ in MSC, the backbone is none of the ResNets, or a tensor has no place
            in the network.
    """
    wrapper = next((name for name in _WRAPPERS if _is_wrapped(state, name)), "")
    bare = {key.removeprefix(wrapper): tensor for key, tensor in state.items()}
    head, names = _head(bare)
    if wrapper and head["architecture"] == "deeplabv3plus":
        raise DataError(
            "cannot be converted: MSC compares the logits of v3+ at the image's size, not on the "
            "grid of its decoder"
        )
    renamed = rename(bare, _backbone_names() | names)
    stem = "backbone.network.conv1.weight"
    renamed[stem] = renamed[stem].flip(1)  # it is given blue first
    last = (
        "pyramid.branches.0.weight" if head["architecture"] == "deeplabv2" else "classifier.weight"
    )
    keywords = head | {
        "backbone": resnet_of(renamed, "backbone.network.layer3.{}.conv1.weight"),
        "num_classes": renamed[last].shape[0],
        "output_stride": 8 if head["architecture"] == "deeplabv2" else hints.output_stride or 16,
        "rates": hints.rates,
        "scales": _SCALES if wrapper else (1.0,),
        "conventions": CONVENTIONS,
    }
    return Converted(keywords, renamed, preprocessing=PREPROCESSING)


def _is_wrapped(state: State, wrapper: str) -> bool:
    return any(key.startswith(f"{wrapper}aspp.") for key in state)


def _head(bare: State) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the keywords that a head needs, and its names."""
    if "aspp.c0.weight" in bare:
        return {"architecture": "deeplabv2"}, _V2_HEAD
    if "reduce.conv.weight" in bare:
        names = _layer_names(_ASPP | _DECODER) | {"fc2.conv3": "classifier"}
        return {"architecture": "deeplabv3plus", "multi_grid": (1, 2, 4)}, names
    names = _layer_names(_ASPP) | {"fc2": "classifier"}
    return {"architecture": "deeplabv3", "multi_grid": (1, 2, 4)}, names


def _layer_names(layers: Mapping[str, str]) -> dict[str, str]:
    """Return the names of convolutions with batch norm."""
    parts = {"conv": "0", "bn": "1"}
    return {
        f"{theirs}.{key}": f"{ours}.{part}"
        for theirs, ours in layers.items()
        for key, part in parts.items()
    }


def _backbone_names() -> dict[str, str]:
    """Return the names of a ResNet, of which stages count from 2 there, and blocks from 1."""
    ours = "backbone.network"
    names = {"layer1.conv1.conv": f"{ours}.conv1", "layer1.conv1.bn": f"{ours}.bn1"}
    for stage in range(1, 5):
        for k in range(_MOST_BLOCKS):
            for part, (conv, norm) in _BLOCK.items():
                theirs = f"layer{stage + 1}.block{k + 1}.{part}"
                names[f"{theirs}.conv"] = f"{ours}.layer{stage}.{k}.{conv}"
                names[f"{theirs}.bn"] = f"{ours}.layer{stage}.{k}.{norm}"
    return names
