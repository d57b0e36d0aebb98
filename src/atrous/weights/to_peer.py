"""Networks of atrous as state dicts of other libraries: the tables of names, read backwards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from atrous.errors import DataError, UsageError
from atrous.files import write_atomically
from atrous.models import Blueprint, SegmentationModel, create_model
from atrous.weights.peer_networks import encoder_name, library_network
from atrous.weights.peers import PEERS
from atrous.weights.peers.names import NO_HINTS, Hints

LIBRARIES = ("torchvision", "smp")
# What changes nothing once a network is trained; and the width, which both are built with.
_WITHOUT_EFFECT = {"dropout", "channels"}


def to_peer(model: SegmentationModel, library: str) -> dict[str, Tensor]:
    """Return the tensors of `model` under the names of another library.

    Args:
        model: A network that `create_model` or `convert` made.
        library: `torchvision` or `smp`.

    Raises:
        UsageError: Names are not translated to this library, or it is not installed.
        DataError: The library has no network that computes what this one does.

    Example:
        >>> from torchvision.models.segmentation import lraspp_mobilenet_v3_large
        >>> from atrous.weights import convert
        >>> theirs = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2)
        >>> theirs.load_state_dict(to_peer(convert(theirs)[0], "torchvision"))
        <All keys matched successfully>
    """
    if library not in LIBRARIES:
        raise UsageError(f"library {library!r} is unknown here; use {' or '.join(LIBRARIES)}")
    trained = model.blueprint.trained_output_stride
    if trained is not None:
        raise DataError(
            f"{library} would put the labels of this model beside their place, as it was trained "
            f"at output stride {trained} and is at {model.output_stride} now; call "
            f"set_output_stride({trained}) first, the weights are the same"
        )
    names = _names(model.blueprint, library)
    state = model.state_dict()
    return {theirs: state[ours] for ours, theirs in names.items()}


def write_state(state: Mapping[str, Tensor], path: str | Path) -> Path:
    """Write a plain state dict: as torch does where `path` ends in `.pth`, else as safetensors.

    Raises:
        UsageError: The name ends in neither.
        ResourceError: The file cannot be written.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    if Path(path).suffix == ".pth":
        return write_atomically(path, lambda file: torch.save(tensors, file))
    if Path(path).suffix != ".safetensors":
        raise UsageError(f"{path}: a state dict is written as .safetensors or .pth")
    content = save(tensors, metadata={"format": "pt"})
    return write_atomically(path, lambda file: file.write(content))


def _names(blueprint: Blueprint, library: str) -> dict[str, str]:
    """Return {our name: theirs}, found by sending the library's own network through its table."""
    with torch.device("meta"):
        network = library_network(library, blueprint, NO_HINTS)
    if network is None:
        raise DataError(
            f"{library} is not installed here, or has no {blueprint.architecture} on "
            f"{blueprint.backbone}"
        )
    theirs = network.state_dict()
    converted = PEERS[library].convert(theirs, _hints(library, blueprint))
    _refuse_differences(library, blueprint, converted.keywords)
    keys = {id(tensor): key for key, tensor in theirs.items()}
    names = {ours: keys.get(id(tensor), "") for ours, tensor in converted.state.items()}
    lacking = sorted(theirs.keys() - set(names.values()))
    if lacking:
        raise DataError(f"{library} wants {lacking[0]}, which is not as it stands in this model")
    return names


def _hints(library: str, blueprint: Blueprint) -> Hints:
    """Return what the library can be told; in torchvision all is fixed."""
    if library == "torchvision":
        return NO_HINTS
    rates: Any = blueprint.rates
    return Hints(encoder_name(blueprint), blueprint.output_stride, rates)


def _refuse_differences(library: str, ours: Blueprint, keywords: Mapping[str, Any]) -> None:
    with torch.device("meta"):
        theirs = create_model(**keywords).blueprint
    differences = [
        f"{key} {_shown(mine)} (there {_shown(other)})"
        for key, mine, other in _pairs(ours, theirs)
        if mine != other and key not in _WITHOUT_EFFECT
    ]
    if differences:
        raise DataError(f"{library} cannot compute this model: {'; '.join(differences[:4])}")


def _pairs(ours: Blueprint, theirs: Blueprint) -> list[tuple[str, Any, Any]]:
    mine, other = ours.model_dump(), theirs.model_dump()
    mine |= mine.pop("conventions")
    other |= other.pop("conventions")
    return [(key, mine[key], other[key]) for key in mine]


def _shown(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)
