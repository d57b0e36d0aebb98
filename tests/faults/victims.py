"""Kills a training forty times at random moments, and resumes it each time.

Run as a program: it imports torch once, and forks the trainings that are killed. It prints one
JSON line: what the unbroken run ended with, and the same of each run that was killed.
"""

import hashlib
import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

from atrous.data import shapes
from atrous.errors import AtrousError
from atrous.recipe import Recipe, load_recipe
from atrous.train import train
from atrous.train.progress import SilentProgress

STEPS = 66
EVERY = 4  # between two checkpoints
SETTINGS = (
    "model.architecture=deeplabv3",
    "model.backbone=lcnet_035",
    "model.rates=[1, 2]",
    "model.dropout=0.3",
    "data.source=shapes",
    "data.size=[32, 48]",
    "data.crop_size=[32, 48]",
    "data.workers=0",
    "train.batch_size=2",
    f"train.max_steps={STEPS}",
    "train.device=cpu",
    "train.precision=fp32",
    "train.previews=1",
    "train.ema_decay=0.9",
    "train.validate_every=2",
    f"train.checkpoint_every={EVERY}",
)


class Counter(SilentProgress):
    """Keeps the number of steps where another process can read it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def step(self, step: int) -> None:
        self._memory[:8] = struct.pack("q", step)

    @property
    def steps(self) -> int:
        return struct.unpack("q", self._memory[:8])[0]


def begin(recipe: Recipe, run: Path, progress: SilentProgress) -> None:
    """Train, or go on where a killed process stopped."""
    train(recipe, run, resume=newest(run) > 0, progress=progress)


def fork(recipe: Recipe, run: Path, progress: SilentProgress) -> int:
    """Train in a process of its own, and return its number."""
    if child := os.fork():
        return child
    code = 1
    try:
        begin(recipe, run, progress)
        code = 0
    except AtrousError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(code)


def wait(child: int, seconds: float) -> bool:
    """Return whether a process ends well within some seconds; kill it otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"a training failed with status {status}")
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def ending(run: Path) -> dict[str, str]:
    """Return SHA-256 sums of all that must not depend on how often a run was killed."""
    last = max(run.glob("checkpoints/step-*"))
    files = [*last.glob("*.safetensors"), run / "metrics.csv", *run.glob("preview/*")]
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}
    best = hashlib.sha256()
    for name, tensor in sorted(load_file(run / "best.safetensors").items()):
        best.update(name.encode() + tensor.numpy().tobytes())
    return {**sums, "best": best.hexdigest(), "last": last.name}


def newest(run: Path) -> int:
    """Return the step of the checkpoint that a run would go on from."""
    return max((int(path.name[5:]) for path in run.glob("checkpoints/step-*")), default=0)


def left(run: Path, duration: float) -> float:
    """Return about how many seconds a run still takes, and more where it should end."""
    return duration * (1.2 - newest(run) / STEPS if newest(run) < STEPS else 1)


def main(folder: Path, kills: int) -> None:
    """Kill `kills` times, over as many runs as it takes."""
    shapes.DEFAULT_LENGTHS.update(train=16, val=3, test=3)
    recipe = load_recipe("shapes-quick", SETTINGS)
    begin(recipe, folder / "whole", SilentProgress())  # and all that is imported late
    start = time.monotonic()
    begin(recipe, folder / "timed", SilentProgress())
    duration = time.monotonic() - start
    moments, trials, endings = random.Random(20261124), [], []  # noqa: S311, no secret
    while len(trials) < kills:
        run, counter = folder / f"run-{len(endings)}", Counter()
        while not wait(fork(recipe, run, counter), moments.uniform(0, left(run, duration))):
            at, kept = counter.steps, newest(run)
            trials.append({"step": at, "lost": at - kept})
            duration *= 1.1
        duration *= 0.6  # the machine is faster now than when it was timed: kill sooner
        endings.append(ending(run))
        endings[-1].update({path.name: "was left" for path in run.rglob(".tmp-*")})
    print(json.dumps({"whole": ending(folder / "whole"), "trials": trials, "endings": endings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
