"""A process of its own that reads a checkpoint with torch, and can do little else.

It is run as a script: `python -I checkpoint_child.py MEGABYTES SECONDS`, with the checkpoint as
standard input. To standard output it writes safetensors: each tensor under the JSON list of keys
that leads to it, and in the metadata, under `facts`, the same tree with null for each tensor. What
is wrong goes to standard error, in one line. It imports nothing of atrous.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

_MOST_FACTS = 4_000_000  # letters of plain values
_KINDS = "f8 f4 f2 i8 i4 i2 i1 u1 ?"
_FORBIDDEN = ("subprocess.", "socket.", "ctypes.dlopen", "os.exec", "os.fork", "os.posix_spawn")


def main() -> int:
    """Read, and return the exit code."""
    megabytes, seconds = map(int, sys.argv[1:])
    try:
        torch.serialization.add_safe_globals(_harmless())
        _limit(megabytes * 2**20, seconds)
        with open(0, "rb", closefd=False) as file:
            file.seek(0)  # whoever opened it has read in it
            content = torch.load(file, map_location="cpu", weights_only=True)
        separator = Separator()
        facts = json.dumps(separator.separate(content, []))
        sys.stdout.buffer.write(save(separator.tensors, metadata={"facts": facts}))
        sys.stdout.buffer.flush()
    except Exception as error:
        sys.stderr.write(f"{_in_one_line(error)}\n")
        return 1
    return 0


class Separator:
    """Parts a tree into tensors and plain values.

    Attributes:
        tensors: Those found, by the JSON list of keys that leads to each.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._budget = _MOST_FACTS

    def separate(self, value: Any, keys: list[str]) -> Any:
        """Return a tree with None in the places of tensors, which are kept.

        What is neither a tensor, nor a mapping, nor plain JSON is told by its type.

        Raises:
            ValueError: There is more than any training program writes: a few lists that hold one
                another many times are small in a pickle, and endless when written out.
        """
        self._spend(1)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, Tensor):
            self.tensors[json.dumps(keys)] = value.detach().contiguous().clone()
            return None
        if isinstance(value, Mapping):
            names = [key for key in value if isinstance(key, str)]
            return {name: self.separate(value[name], [*keys, name]) for name in names}
        try:
            for word in json.JSONEncoder().iterencode(value):
                self._spend(len(word))
        except TypeError:
            return f"<{type(value).__name__}>"
        return value

    def _spend(self, amount: int) -> None:
        self._budget -= amount
        if self._budget < 0:
            raise ValueError("it holds more plain values than a checkpoint does")


def _harmless() -> list[Any]:
    """Return what older checkpoints hold beside tensors: arrays, and the options of a script."""
    from numpy._core import multiarray

    functions = (multiarray._reconstruct, multiarray.scalar)
    return [
        *(
            (f, f"numpy.{core}.multiarray.{f.__name__}")
            for f in functions
            for core in ("core", "_core")
        ),
        *(type(np.dtype(kind)) for kind in _KINDS.split()),
        np.ndarray,
        np.dtype,
        argparse.Namespace,
    ]


def _limit(memory: int, seconds: int) -> None:
    """Take no more memory and time, write no file, leave no core, and start nothing."""
    sys.addaudithook(_forbid)
    try:
        import resource
    except ImportError:  # Windows has none; the time is watched from outside
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    statm = Path("/proc/self/statm")
    if statm.is_file():  # Linux; torch itself has already taken 3 GB of addresses
        pages = int(statm.read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _forbid(event: str, _args: object) -> None:
    if event == "os.system" or event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} is forbidden here")


def _in_one_line(error: Exception) -> str:
    """Return what torch says at length in its one line that counts."""
    lines = str(error).splitlines() or [type(error).__name__]
    told = (line for line in lines if "WeightsUnpickler error: " in line)
    return next(told, lines[0]).partition("WeightsUnpickler error: ")[2] or lines[0]


if __name__ == "__main__":
    sys.exit(main())
