"""Checkpoints: everything that a killed training needs to go on, complete or absent.

A checkpoint is a folder `checkpoints/step-NNNNNNNN/` with the weights, their running average where
there is one, the optimiser's moments, `state.json`, and `SHA256SUMS` over all of these, which
`sha256sum -c` understands. There is no generator to store: order, augmentation and dropout are
functions of the seed and the step.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from atrous.errors import DataError, DivergedError
from atrous.files import write_atomically, write_folder_atomically, write_text

_LATEST = "latest"
_SUMS = "SHA256SUMS"


class Checkpoint(NamedTuple):
    """A checkpoint as read back: `state` is what `save_checkpoint` was given."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]
    average: dict[str, Tensor] | None = None


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    keep: int,
    average: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the checkpoint of `step` below `folder`, and keep only the newest `keep`.

    Raises:
        DivergedError: A weight or moment is not a finite number; nothing is written.
        ResourceError: The disk is full or cannot be written; the older checkpoints are untouched.
    """
    parts = {"model": model.state_dict(), "optimizer": flatten_moments(optimizer)}
    if average is not None:
        parts["average"] = average
    contents = {f"{name}.safetensors": _packed(part) for name, part in parts.items()}
    text = json.dumps({"step": step, **state}, indent=2, ensure_ascii=False) + "\n"
    contents["state.json"] = text.encode()

    def fill(inside: Path) -> None:
        for name, content in (contents | {_SUMS: _sums(contents)}).items():
            write_atomically(inside / name, lambda file, c=content: file.write(c))

    path = write_folder_atomically(folder / _name(step), fill)
    write_text(folder / _LATEST, path.name + "\n")
    # Later ones stay from before a return to an older checkpoint; they do not count.
    until_now = [old for old in sorted(folder.glob("step-*")) if old.name <= path.name]
    for old in until_now[:-keep]:
        shutil.rmtree(old, ignore_errors=True)  # what stays is tried again after the next
    return path


def load_latest(folder: Path, *, say: Callable[[str], object] = lambda _: None) -> Checkpoint:
    """Read the newest checkpoint below `folder` that is as it was written.

    Args:
        folder: Where the checkpoints are.
        say: Told, in one line, of each damaged checkpoint that is passed over.

    Raises:
        DataError: There is none, or all are damaged.
    """
    damaged = []
    for path in _newest_first(folder, say):
        try:
            checkpoint = _read(path)
        except (OSError, ValueError) as error:
            damaged.append(f"{path}: the checkpoint is damaged ({error})")
            continue
        for line in damaged:
            say(f"{line}; going back to {path.name}")
        return checkpoint
    if damaged:
        older = ", and so are all before it" if len(damaged) > 1 else ", and there is none before"
        raise DataError(f"{damaged[0]}{older}; start another run with another --out")
    raise DataError(f"{folder}: no checkpoint to resume from; start without --resume")


def flatten_moments(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors by `number of the parameter`.`name of the moment`."""
    return {
        f"{number}.{name}": tensor
        for number, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
        if isinstance(tensor, Tensor)
    }


@torch.no_grad()
def restore_moments(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `flatten_moments` returned.

    Each moment is laid out in memory as its parameter is, which fused optimisers take for granted.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        like, of_parameter = parameters[int(number)], moments.setdefault(int(number), {})
        is_moment = tensor.shape == like.shape
        of_parameter[name] = torch.empty_like(like).copy_(tensor) if is_moment else tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _packed(tensors: Mapping[str, Tensor]) -> bytes:
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise DivergedError(
                f"{key} holds a value that is no finite number, so no checkpoint is written; begin "
                "another run with a lower optim.lr, or with optim.clip_norm=1"
            )
    return save(tensors)


def _sums(contents: Mapping[str, bytes]) -> bytes:
    """Return a line for each file, in the order of their names."""
    hashes = {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)}
    return "".join(f"{sha256}  {name}\n" for name, sha256 in hashes.items()).encode()


def _newest_first(folder: Path, say: Callable[[str], object]) -> Iterator[Path]:
    """Yield the checkpoints from the one that `latest` names to the oldest."""
    pointer = folder / _LATEST
    names = sorted((path.name for path in folder.glob("step-*")), reverse=True)
    newest = pointer.read_bytes().decode(errors="replace").strip() if pointer.is_file() else ""
    if newest not in names and names:
        say(f"{pointer}: does not name a checkpoint; taking the newest, {names[0]}")
        newest = names[0]
    yield from (folder / name for name in names if name <= newest)


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint; any change to any of its files raises ValueError or OSError."""
    written = (path / _SUMS).read_bytes()
    files = [*path.glob("*.safetensors"), path / "state.json"]
    contents = {file.name: file.read_bytes() for file in files}
    if written != (sums := _sums(contents)):
        differing = set(written.split(b"\n")) ^ set(sums.split(b"\n"))
        names = sorted({line.decode(errors="replace")[66:] for line in differing}) or [_SUMS]
        raise ValueError(f"{', '.join(names)} does not fit the SHA-256 of when it was written")
    state = json.loads(contents.pop("state.json"))
    if path.name != _name(state["step"]):
        raise ValueError(f"it is that of step {state['step']}")
    parts = {name.removesuffix(".safetensors"): load(data) for name, data in contents.items()}
    return Checkpoint(state.pop("step"), state=state, **parts)
