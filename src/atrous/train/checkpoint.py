"""Checkpoints: everything that a killed training needs to go on, complete or absent.

A checkpoint is a folder `checkpoints/step-NNNNNNNN/` with the weights, the optimiser's moments and
`state.json`. There is no generator to store: order, augmentation and dropout are functions of the
seed and the step.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from atrous.errors import DataError
from atrous.files import write_atomically, write_folder_atomically, write_json, write_text

_LATEST = "latest"


class Checkpoint(NamedTuple):
    """A checkpoint as read back: `state` is what `save_checkpoint` was given."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    keep: int,
) -> Path:
    """Write the checkpoint of `step` below `folder`, and keep only the newest `keep`."""
    tensors = {"model": model.state_dict(), "optimizer": flatten_moments(optimizer)}
    contents = {
        name: save({key: tensor.detach().cpu().contiguous() for key, tensor in part.items()})
        for name, part in tensors.items()
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    def fill(inside: Path) -> None:
        for name, content in contents.items():
            write_atomically(inside / f"{name}.safetensors", lambda file, c=content: file.write(c))
        write_json(inside / "state.json", {"step": step, "sha256": hashes, **state})

    path = write_folder_atomically(folder / f"step-{step:08d}", fill)
    write_text(folder / _LATEST, path.name + "\n")
    # Later ones stay from before a return to an older checkpoint; they do not count.
    until_now = [old for old in sorted(folder.glob("step-*")) if old.name <= path.name]
    for old in until_now[:-keep]:
        shutil.rmtree(old)
    return path


def load_latest(folder: Path) -> Checkpoint:
    """Read the newest checkpoint below `folder`.

    Raises:
        DataError: There is none, or it is not as it was written.
    """
    pointer = folder / _LATEST
    if not pointer.is_file():
        raise DataError(f"{folder}: no checkpoint to resume from; start without --resume")
    path = folder / pointer.read_text(encoding="utf-8").strip()
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        hashes = state.pop("sha256")
        parts = {name: _read(path / f"{name}.safetensors", hashes[name]) for name in hashes}
        return Checkpoint(state.pop("step"), parts["model"], parts["optimizer"], state)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{path}: the checkpoint is damaged ({error}); write the name of an older folder "
            f"beside it into {pointer}"
        ) from error


def flatten_moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors by `number of the parameter`.`name of the moment`."""
    return {
        f"{number}.{name}": tensor
        for number, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
        if isinstance(tensor, Tensor)
    }


def restore_moments(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `flatten_moments` returned."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _read(path: Path, sha256: str) -> dict[str, Tensor]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} has another SHA-256 than when it was written")
    return load(content)
