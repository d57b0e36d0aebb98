"""Whether there is room for the checkpoints of a training."""

import shutil
from pathlib import Path

from torch import nn

from atrous.errors import ResourceError

_CHECKPOINTS = 3  # the one being written, and slack for the others and the best weights
_MOMENTS = {"adamw": 2, "sgd": 1}


def checkpoint_bytes(model: nn.Module, *, optimizer: str, average: bool) -> int:
    """Return about how large a checkpoint will be.

    Args:
        model: The network.
        optimizer: `adamw` or `sgd`.
        average: Whether a running average of the weights is kept too.

    Example:
        >>> checkpoint_bytes(nn.Linear(9, 10), optimizer="sgd", average=False)
        800
    """
    state = sum(tensor.nbytes for tensor in model.state_dict().values())
    learned = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return (1 + average) * state + _MOMENTS[optimizer] * learned


def refuse_full_disk(folder: Path, checkpoint: int) -> None:
    """Make sure that there is room for three checkpoints of `checkpoint` bytes each.

    Raises:
        ResourceError: There is not.
    """
    needed, free = _CHECKPOINTS * checkpoint, shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"{folder}: {free / 1e6:,.0f} MB are free, and checkpoints need {needed / 1e6:,.0f} "
            "MB; make room, or choose another --out"
        )
