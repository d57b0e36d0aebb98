"""What the files on other libraries share: the result of a conversion, and renaming by a table."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from atrous.errors import DataError
from atrous.models import Preprocessing

Names = Mapping[str, str]

_RESNETS = {6: "resnet50", 23: "resnet101", 36: "resnet152"}  # by the third stage's bottlenecks


class Hints(NamedTuple):
    """What a checkpoint may not say and its user knows; None where it is for the peer to find out.

    Attributes:
        backbone: The library's name for it, such as `resnet50` or `timm-mobilenetv3_large_100`.
        output_stride: Image pixels per cell of the deepest map.
        rates: Rates of the pyramid, in cells.
    """

    backbone: str | None = None
    output_stride: int | None = None
    rates: tuple[int, ...] | None = None


NO_HINTS = Hints()


class Converted(NamedTuple):
    """A checkpoint in the words of atrous.

    Attributes:
        keywords: What `create_model` needs to build the network that computes the same.
        state: Its tensors, under the names of that network.
        dropped: {name there: why it is not needed}, for tensors without a place here.
        preprocessing: What the library does to an image; None for ImageNet's mean and deviation.
    """

    keywords: dict[str, Any]
    state: dict[str, Tensor]
    dropped: Mapping[str, str] = MappingProxyType({})
    preprocessing: Preprocessing | None = None


def rename(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Return `state` with the prefix of each key replaced.

    Args:
        state: Tensors by their names elsewhere.
        names: {prefix there: prefix here}; a prefix ends where a dot follows. The longest counts.

    Raises:
        DataError: A key has none of the prefixes.
    """
    renamed, unknown = {}, []
    for key, tensor in state.items():
        prefix = _longest_prefix(key, names)
        if prefix is None:
            unknown.append(key)
        else:
            renamed[names[prefix] + key[len(prefix) :]] = tensor
    if unknown:
        listed = ", ".join(unknown[:3])
        raise DataError(f"{len(unknown)} tensors have no place in the network: {listed}")
    return renamed


def aspp_names(theirs: str, ours: str, *, num_rates: int) -> dict[str, str]:
    """Return the names of an ASPP as torchvision writes it; segmentation_models_pytorch follows.

    Branches are numbered in one list: the 1x1 convolution, the rates, then image pooling.
    """
    last = num_rates + 1
    return {
        f"{theirs}.convs.0": f"{ours}.point",
        **{f"{theirs}.convs.{k + 1}": f"{ours}.atrous.{k}" for k in range(num_rates)},
        f"{theirs}.convs.{last}.1": f"{ours}.image.0",
        f"{theirs}.convs.{last}.2": f"{ours}.image.1",
        f"{theirs}.project": f"{ours}.project",
    }


def count(keys: Iterable[str], pattern: str) -> int:
    """Return how many of `pattern` with 0, 1, 2 … in place of {} are keys, from 0 on."""
    known, number = set(keys), 0
    while pattern.format(number) in known:
        number += 1
    return number


def block_names(depths: Iterable[int]) -> list[str]:
    """Return timm's names of the blocks of EfficientNet and its like, which others just count."""
    return [f"blocks.{stage}.{k}" for stage, depth in enumerate(depths) for k in range(depth)]


def resnet_of(state: Mapping[str, Tensor], bottleneck: str) -> str:
    """Return the name of the ResNet with these blocks in its third stage.

    Args:
        state: Tensors by their names.
        bottleneck: Name of one tensor that each of them has, with {} for the block's number.

    Raises:
        DataError: There are as many in none.
    """
    number = count(state, bottleneck)
    if number not in _RESNETS:
        raise DataError(
            f"the backbone has {number} bottlenecks in its third stage, and so is no ResNet-50, "
            "-101 or -152, which alone are converted from this library"
        )
    return _RESNETS[number]


def refuse(state: Iterable[str], reasons: Mapping[str, str]) -> None:
    """Refuse a checkpoint that cannot be converted.

    Args:
        state: Names of its tensors.
        reasons: {how a name begins that shows it: what it is and why it cannot}.

    Raises:
        DataError: A name begins so.
    """
    for prefix, reason in reasons.items():
        if any(key.startswith(prefix) for key in state):
            raise DataError(f"cannot be converted: {reason}")


def put_deep_map_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a decoder that joins an early map and the deep one, in our order.

    Args:
        state: All tensors of the network, renamed; the first block of the decoder has the
            channels of the early map first.
    """
    early = state["decoder.reduce.0.weight"].shape[0]
    joined = early + state["pyramid.project.0.weight"].shape[0]
    ordered = dict(state)
    for key, tensor in state.items():
        if key.startswith("decoder.refine.0."):
            axes = [axis for axis, size in enumerate(tensor.shape) if size == joined]
            ordered[key] = tensor.roll([-early] * len(axes), axes) if axes else tensor
    return ordered


def _longest_prefix(key: str, names: Names) -> str | None:
    parts = key.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in names), None)
