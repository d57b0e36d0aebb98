"""Lets several processes train together, as torchrun would, and tells how it went.

Run as a program: it imports torch once, and forks the processes. It prints one JSON line.
"""

import hashlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.fabric  # noqa: F401, here once and not in each process
import torch
import torch.utils.tensorboard
from torch import Tensor

from atrous.data import ShapesDataset, shapes
from atrous.errors import AtrousError, DataError
from atrous.recipe import load_recipe
from atrous.train import train
from atrous.train.finite_steps import FiniteSteps
from atrous.train.progress import SilentProgress

SETTINGS = (
    *("model.architecture=deeplabv3", "model.backbone=lcnet_035", "model.rates=[1, 2]"),
    *("data.source=shapes", "data.size=[32, 48]", "data.crop_size=[32, 48]", "data.workers=0"),
    *("train.batch_size=4", "train.device=cpu", "train.precision=fp32", "train.previews=2"),
    # Much padding, so that the processes have different numbers of pixels that count.
    *("data.scale=[0.3, 0.6]", "train.class_weights=log-frequency", "optim.name=sgd"),
)
SAME = ("train.freeze_batch_norm=true", "model.dropout=0", "optim.lr=0.05", "train.max_steps=20")
OWN_NORMS = (
    *("model.dropout=0.3", "train.max_steps=6", "train.ema_decay=0.9", "train.validate_every=0.7"),
    "train.checkpoint_every=100",
)
AtStep = Callable[[int, int], object]


class Notes(SilentProgress):
    """Keeps what is noted in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def note(self, text: str) -> None:
        with self.file.open("a") as file:
            file.write(f"note: {text}\n")


def crew(
    folder: Path, *settings: str, size: int = 2, resume: bool = False, at_step: AtStep | None = None
) -> dict[str, Any]:
    """Train in `size` processes, and return how each ended and what it said.

    `at_step` is called in each with its rank and the number of steps it has learnt from.
    """
    words = folder.parent
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port(), "WORLD_SIZE": str(size)}
    os.environ.update(variables, LOCAL_WORLD_SIZE=str(size))
    started = time.monotonic()
    children = []
    for rank in range(size):
        said = words / f"{folder.name}-{time.monotonic_ns()}-{rank}"
        child = os.fork()
        if not child:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            _train(folder, settings, said, rank, resume=resume, at_step=at_step)
        children.append((child, said))
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in children]
    said = [file.read_text() if file.is_file() else "" for _, file in children]
    losses = [json.loads(text.partition("losses: ")[2].partition("\n")[0] or "[]") for text in said]
    seconds = time.monotonic() - started
    return {"codes": codes, "said": said, "losses": losses[0], "seconds": seconds}


def _train(
    folder: Path, settings: tuple[str, ...], said: Path, rank: int, *, resume: bool, at_step: Any
) -> None:
    code, losses, accept = 1, [], FiniteSteps.accept
    with said.open("a") as sys.stderr:

        def watched(steps: FiniteSteps, loss: Tensor) -> bool:
            losses.append(loss.item())
            if at_step is not None:
                at_step(rank, len(losses))
            return accept(steps, loss)

        FiniteSteps.accept = watched
        try:
            recipe = None if resume else load_recipe("shapes-quick", [*SETTINGS, *settings])
            outcome = train(recipe, folder, resume=resume, progress=Notes(said))
            code = 128 + outcome.stopped_by if outcome.stopped_by else 0
        except AtrousError as error:
            sys.stderr.write(f"error: {error}\n")
            code = error.exit_code
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        sys.stderr.write(f"losses: {losses}\n")
        sys.stderr.flush()
        os._exit(code)


def _free_port() -> str:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return str(place.getsockname()[1])


def ending(run: Path) -> dict[str, str]:
    """Return the files of a run, with SHA-256 sums of those that are a function of the recipe."""
    kept = {}
    for file in sorted(run.rglob("*")):
        name = file.relative_to(run).as_posix()
        if file.is_file() and not name.startswith("tensorboard"):
            decided = (file.suffix == ".safetensors" and "step-" in name) or name == "metrics.csv"
            kept[name] = hashlib.sha256(file.read_bytes()).hexdigest() if decided else ""
    return kept


def stop_second(rank: int, step: int) -> None:
    """Send a signal to one process only."""
    if (rank, step) == (1, 4):
        os.kill(os.getpid(), signal.SIGTERM)


def kill_second(rank: int, step: int) -> None:
    """Let one process vanish."""
    if (rank, step) == (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)


def spoil(which: int) -> AtStep:
    """Let one process fail to read its data."""

    def broken(dataset: ShapesDataset, index: int) -> None:
        raise DataError(f"photo {index}: is broken")

    def at_step(rank: int, step: int) -> None:
        if (rank, step) == (which, 2):
            ShapesDataset.__getitem__ = broken

    return at_step


def main(folder: Path) -> None:
    """Do all that the tests look at."""
    torch.set_num_threads(1)
    shapes.DEFAULT_LENGTHS.update(train=12, val=5, test=3)
    twice = ("train.batch_size=2", "train.accumulate_steps=2")
    report = {
        "one": crew(folder / "one", *SAME, size=1),
        "two": crew(folder / "two", *SAME),
        "two, twice": crew(folder / "two-twice", *SAME, *twice),
        "whole": crew(folder / "whole", *OWN_NORMS),
        "stopped": crew(folder / "stopped", *OWN_NORMS, at_step=stop_second),
        "resumed": crew(folder / "stopped", resume=True),
        "killed": crew(folder / "killed", *OWN_NORMS, at_step=kill_second),
        "first spoilt": crew(folder / "first", *OWN_NORMS, at_step=spoil(0)),
        "second spoilt": crew(folder / "second", *OWN_NORMS, at_step=spoil(1)),
        "odd": crew(folder / "odd", "train.batch_size=5"),
    }
    crew(folder / "fewer", *OWN_NORMS, at_step=stop_second)
    report["fewer"] = crew(folder / "fewer", resume=True, size=1)
    report["endings"] = {run.name: ending(run) for run in folder.iterdir() if run.is_dir()}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
