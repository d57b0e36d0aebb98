"""How much memory a way needs at its peak: each in a process of its own, from its first line on."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from atrous.bench.choice import Choice
from atrous.bench.networks import load_network
from atrous.bench.pictures import open_pictures
from atrous.errors import ResourceError

_CALLS = 3


def peak_mib(choice: Choice, way: str) -> float:
    """Return the peak memory of a process that opens one way and computes one batch with it.

    That is all that the process holds: Python, the libraries that the way needs, the weights,
    what its opening takes (an export holds the network twice), and the maps.

    Args:
        choice: What is measured.
        way: The name of one of `choice.ways()`.

    Raises:
        ResourceError: The process fails, as it does on Windows, which does not tell.
    """
    command = [sys.executable, "-m", "atrous.bench.memory", json.dumps(choice.to_json()), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ResourceError(f"memory of {way}: {reason}")
    return float(done.stdout.split()[-1])


@torch.no_grad()
def compute(choice: Choice, name: str) -> None:
    """Open one way and compute a batch with it, a few times."""
    if choice.threads is not None:
        torch.set_num_threads(choice.threads)
    way = next(way for way in choice.ways() if way.name == name)
    noise = open_pictures((), size=choice.size, batch=choice.batch, noise=True)
    pictures = noise.batches[0]
    opened = way.open(load_network(choice.model), pictures)
    for _ in range(_CALLS):
        opened.labels(pictures)


def peak_of_this_process() -> float:
    """Return MiB.

    Example:
        >>> peak_of_this_process() > 1
        True
    """
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose getrusage counts the process that started this one too
        lines = status.read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    compute(Choice.from_json(json.loads(sys.argv[1])), sys.argv[2])
    print(peak_of_this_process())  # noqa: T201, for the process that asked
