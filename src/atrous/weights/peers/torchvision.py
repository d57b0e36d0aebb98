"""torchvision's `deeplabv3_*` and `lraspp_*`: names and settings of its checkpoints.

Its v3 has a 3x3 convolution behind the pyramid and rates (12, 24, 36) at any output stride; ResNets
are held at 8, MobileNetV3 at 16. In MobileNetV3 the whole stage behind a lost stride is dilated,
its first block too, batch norm has epsilon 1e-3, and a stage's first block gives the early map.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, aspp_names, count, rename

_RATES = (12, 24, 36)
_RESNETS = {6: "resnet50", 23: "resnet101"}  # by the number of blocks in the third stage
_BLOCKS_IN_STAGE = (1, 2, 3, 4, 2, 3, 1)  # of MobileNetV3-Large in timm
# The parts of its blocks, which torchvision counts, and timm names. Where there is no squeeze and
# excitation, the projection moves up.
_FIRST_BLOCK = {
    "block.0.0": "conv_dw",
    "block.0.1": "bn1",
    "block.1.0": "conv_pw",
    "block.1.1": "bn2",
}
_BLOCK = {
    "block.0.0": "conv_pw",
    "block.0.1": "bn1",
    "block.1.0": "conv_dw",
    "block.1.1": "bn2",
    "block.2.fc1": "se.conv_reduce",
    "block.2.fc2": "se.conv_expand",
    "block.2.0": "conv_pwl",
    "block.2.1": "bn3",
    "block.3.0": "conv_pwl",
    "block.3.1": "bn3",
}

RESNET = Conventions(head_convs=1)
MOBILENET = Conventions(
    head_convs=1,
    dilate_first_block=True,
    early_maps="first_block",
    aux_stride=8,
    norm_eps=1e-3,
)


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are tensors of torchvision's DeepLab or LR-ASPP."""
    return any(f"{mark}.weight" in state for mark in ("classifier.0.convs.0.0", "classifier.cbr.0"))


def convert(state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
    """Return torchvision's checkpoint in the words of atrous; it says all but other rates.

    Raises:
        DataError: A tensor has no place in the network.
    """
    blocks = count(state, "backbone.layer3.{}.conv1.weight")
    backbone = _RESNETS.get(blocks, "mobilenetv3_large_100")
    names = {"backbone": "backbone.network"} if blocks else _mobilenet_names()
    aux_head = "aux_classifier.0.weight" in state
    if "classifier.cbr.0.weight" in state:
        head, names = "classifier.low_classifier.weight", names | _LRASPP_NAMES
        keywords = {"architecture": "lraspp", "output_stride": 16}
    else:
        head, names = "classifier.4.weight", names | _deeplab_names(len(_RATES))
        keywords = {
            "architecture": "deeplabv3",
            "output_stride": 8 if blocks else 16,
            "rates": hints.rates or _RATES,
            "dropout": 0.5,
            "aux_head": aux_head,
        }
    keywords |= {
        "backbone": backbone,
        "num_classes": state[head].shape[0],
        "conventions": RESNET if blocks else MOBILENET,
    }
    return Converted(keywords, rename(state, names))


_LRASPP_NAMES = {
    "classifier.cbr": "pyramid.point",
    "classifier.scale": "pyramid.gate",
    "classifier.low_classifier": "pyramid.low_classifier",
    "classifier.high_classifier": "pyramid.deep_classifier",
}


def _deeplab_names(num_rates: int) -> dict[str, str]:
    return {
        **aspp_names("classifier.0", "pyramid", num_rates=num_rates),
        "classifier.1": "head.0.0",
        "classifier.2": "head.0.1",
        "classifier.4": "classifier",
        "aux_classifier.0": "auxiliary.0.0",
        "aux_classifier.1": "auxiliary.0.1",
        "aux_classifier.4": "auxiliary.2",
    }


def _mobilenet_names() -> dict[str, str]:
    """Return the names of MobileNetV3-Large: torchvision counts blocks, timm stages and blocks."""
    ours = "backbone.network"
    first, *middle, last = (
        f"{ours}.blocks.{stage}.{k}"
        for stage, depth in enumerate(_BLOCKS_IN_STAGE)
        for k in range(depth)
    )
    return {
        "backbone.0.0": f"{ours}.conv_stem",
        "backbone.0.1": f"{ours}.bn1",
        **{f"backbone.1.{theirs}": f"{first}.{part}" for theirs, part in _FIRST_BLOCK.items()},
        **{
            f"backbone.{number}.{theirs}": f"{block}.{part}"
            for number, block in enumerate(middle, start=2)
            for theirs, part in _BLOCK.items()
        },
        "backbone.16.0": f"{last}.conv",
        "backbone.16.1": f"{last}.bn1",
    }
