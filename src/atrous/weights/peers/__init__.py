"""Checkpoints of other libraries: what their tensors are called here, and what they compute.

One file a library. Each says how its checkpoints are told from others, and turns one into the
keywords of `create_model` and a state dict with the names of atrous.
"""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from atrous.errors import DataError
from atrous.weights.peers import (
    detectron2,
    huggingface,
    jfzhang95,
    kazuto1011,
    mmsegmentation,
    paddleseg,
    smp,
    torchvision,
    vainf,
)
from atrous.weights.peers.names import NO_HINTS, Converted, Hints


class Peer(Protocol):
    """What each file on a library has."""

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Return whether these are tensors of the library's DeepLab."""
        ...

    def convert(self, state: Mapping[str, Tensor], hints: Hints = NO_HINTS) -> Converted:
        """Return them in the words of atrous."""
        ...


PEERS: dict[str, Peer] = {
    "torchvision": torchvision,
    "smp": smp,
    "mmsegmentation": mmsegmentation,
    "vainf": vainf,
    "jfzhang95": jfzhang95,
    "kazuto1011": kazuto1011,
    "detectron2": detectron2,
    "paddleseg": paddleseg,
    "huggingface": huggingface,
}


def recognise(name: str, state: Mapping[str, Tensor]) -> str:
    """Return which library the tensors are of, by their names.

    Args:
        name: Where they are from, for the message.
        state: The tensors.

    Raises:
        DataError: It is none that atrous knows.
    """
    for library, peer in PEERS.items():
        if peer.recognises(state):
            return library
    keys = ", ".join(list(state)[:3])
    raise DataError(
        f"{name}: {len(state)} tensors ({keys} …) are of no DeepLab that atrous knows; it reads "
        f"those of {', '.join(PEERS)}"
    )
