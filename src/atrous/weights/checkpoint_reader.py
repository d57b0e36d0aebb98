"""Reading other programs' checkpoints, with no trust in them.

`.safetensors` are read by safetensors alone. Everything else must be torch's: its bytes are scanned
here, and what passes is read with `weights_only=True` by a process with limits on memory and time,
which hands back tensors as safetensors through a pipe. There is no other way and no way around it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load

from atrous.errors import DataError
from atrous.weights.checkpoint_scan import scan

_CHILD = Path(__file__).with_name("checkpoint_child.py")
_MEGABYTE = 2**20
# Torch holds the tensors, a copy, and the bytes for the pipe in two copies.
_COPIES = 6
_MEGABYTES_AT_LEAST = 512
_SECONDS_AT_LEAST = 60
_MEGABYTES_PER_SECOND = 10  # of the slowest disk that one waits for


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors by their names, and what stands beside them.

    Args:
        path: A `.safetensors`, or what `torch.save` wrote.

    Returns:
        A tree of dicts; its leaves are tensors on the CPU, or plain values as JSON has them.

    Raises:
        DataError: The file is missing, damaged or no checkpoint, or asks for more than tensors.

    Example:
        >>> import tempfile, torch
        >>> file = tempfile.mkdtemp() + "/checkpoint.pth"
        >>> torch.save({"state_dict": {"weight": torch.ones(2)}, "epoch": 3}, file)
        >>> read_checkpoint(file)
        {'state_dict': {'weight': tensor([1., 1.])}, 'epoch': 3}
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a checkpoint (.pth or .safetensors)")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with path.open("rb") as file:
            scan(path, file)
            return _rebuild(_ask_child(path, file))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            if "atrous" in (file.metadata() or {}):
                raise DataError(f"{path}: a model file of atrous already; load_model reads it")
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, no mapping
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a .safetensors file ({error})") from error


def _ask_child(path: Path, file: IO[bytes]) -> bytes:
    """Return the safetensors that the other process makes of `file`."""
    megabytes = path.stat().st_size // _MEGABYTE
    seconds = _SECONDS_AT_LEAST + megabytes // _MEGABYTES_PER_SECOND
    memory = _MEGABYTES_AT_LEAST + _COPIES * megabytes
    # -I: neither the environment nor the current folder decides what is imported.
    words = [sys.executable, "-I", str(_CHILD), str(memory), str(seconds)]
    try:
        done = subprocess.run(words, stdin=file, capture_output=True, timeout=seconds, check=False)  # noqa: S603, our own script
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{path}: was not read in {seconds} s, and is refused") from error
    if done.returncode != 0:
        raise DataError(f"{path}: torch cannot read it safely: {_reason(done)}")
    return done.stdout


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode("utf-8", errors="replace").splitlines()
    if done.returncode == 1 and lines:
        return ascii(lines[-1])[1:-1][:200]
    return f"its process was ended with code {done.returncode}"


def _rebuild(answer: bytes) -> dict[str, Any]:
    """Put the tensors back into the tree that they came from."""
    root = {"": json.loads(_metadata(answer)["facts"])}
    for name, tensor in load(answer).items():
        *above, last = ["", *json.loads(name)]
        place = root
        for key in above:
            place = place[key]
        place[last] = tensor
    tree = root[""]
    return tree if isinstance(tree, dict) else {}


def _metadata(answer: bytes) -> dict[str, str]:
    """Return the metadata of safetensors: 8 bytes of length, then JSON."""
    length = int.from_bytes(answer[:8], "little")
    return json.loads(answer[8 : 8 + length])["__metadata__"]
