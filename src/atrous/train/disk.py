"""Whether there is room for the checkpoints of a training."""

import shutil
from pathlib import Path

from torch import nn

from atrous.errors import ResourceError

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


def refuse_full_disk(folder: Path, *, checkpoint: int, best: int, keep: int) -> None:
    """Make sure that there is room for all that a training keeps, and for what replaces it.

    Args:
        folder: Where the checkpoints are, or will be, in the run directory.
        checkpoint: Bytes of a checkpoint.
        best: Bytes of the best weights.
        keep: How many checkpoints are kept; those that are there already need no more room.

    Raises:
        ResourceError: There is not.
    """
    missing = max(0, keep - len(list(folder.glob("step-*"))))
    needed = (missing + 1) * checkpoint + 2 * best  # each is written beside the one it replaces
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise ResourceError(
            f"{folder.parent}: {free / 1e6:,.0f} MB are free, and {keep} checkpoints, the next and "
            f"the best weights need {needed / 1e6:,.0f} MB more; make room, lower "
            "train.keep_checkpoints, or choose another --out"
        )
