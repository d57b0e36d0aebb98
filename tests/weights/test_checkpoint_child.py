import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from atrous.weights import checkpoint_child
from atrous.weights.checkpoint_child import Separator, main

WEIGHT = torch.arange(6.0).view(2, 3)


def test_tensors_are_parted_from_plain_values():
    separator = Separator()
    tree = {
        "model": {"a.weight": WEIGHT.T, "array": np.ones(2)},
        "meta": {"classes": ("sky", "road"), "epoch": 3},
        "args": Namespace(lr=1),
        "state": {0: WEIGHT, 1: {}},
    }
    assert separator.separate(tree, []) == {
        "model": {"a.weight": None, "array": None},
        "meta": {"classes": ("sky", "road"), "epoch": 3},
        "args": "<Namespace>",
        "state": {},
    }
    assert list(separator.tensors) == ['["model", "a.weight"]', '["model", "array"]']
    kept = separator.tensors['["model", "a.weight"]']
    assert torch.equal(kept, WEIGHT.T)
    assert kept.is_contiguous()
    assert kept.data_ptr() != WEIGHT.data_ptr()


@pytest.mark.parametrize("level", [[1], {"a": 1}])
def test_what_is_endless_when_written_out_is_refused(level, monkeypatch):
    monkeypatch.setattr(checkpoint_child, "_MOST_FACTS", 10_000)
    for _ in range(40):  # 2 ** 40 values, in 40 objects
        level = [level, level] if isinstance(level, list) else {"a": level, "b": level}
    with pytest.raises(ValueError, match="more plain values than"):
        Separator().separate(level, [])


def run(path: Path, megabytes: int) -> "subprocess.CompletedProcess[bytes]":
    words = [sys.executable, "-I", checkpoint_child.__file__, str(megabytes), "60"]
    with path.open("rb") as file:
        return subprocess.run(words, stdin=file, capture_output=True, check=False)


def test_it_answers_with_safetensors(tmp_path):
    torch.save({"weight": WEIGHT, "args": Namespace(lr=1)}, tmp_path / "a.pth")
    done = run(tmp_path / "a.pth", 500)
    assert (done.returncode, done.stderr) == (0, b"")
    assert torch.equal(load(done.stdout)['["weight"]'], WEIGHT)


class Huge:
    """Unpickling it takes 4 GB."""

    def __reduce__(self):
        return bytearray, (2**32,)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_memory_is_limited(tmp_path):
    torch.save({"weight": WEIGHT, "huge": Huge()}, tmp_path / "a.pth")
    done = run(tmp_path / "a.pth", 300)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr == b"MemoryError\n"


def test_what_is_no_tensor_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["child", "1", "1"])
    monkeypatch.setattr(checkpoint_child, "_limit", lambda *_: None)
    text = "Weights only load failed.\n\tWeightsUnpickler error: Unsupported global\nRead more"

    def fail(*_args, **_options):
        raise RuntimeError(text)

    monkeypatch.setattr(torch, "load", fail)
    assert main() == 1
    assert capsys.readouterr().err == "Unsupported global\n"


@pytest.mark.parametrize("event", ["os.system", "os.exec", "subprocess.Popen", "socket.connect"])
def test_nothing_can_be_started(event):
    with pytest.raises(PermissionError, match=f"{event} is forbidden here"):
        checkpoint_child._forbid(event, ())
    checkpoint_child._forbid("open", ())


def test_the_names_of_arrays_are_those_that_numpy_has_had():
    names = {entry[1] for entry in checkpoint_child._harmless() if isinstance(entry, tuple)}
    assert json.dumps(sorted(names)) == json.dumps(
        [
            "numpy._core.multiarray._reconstruct",
            "numpy._core.multiarray.scalar",
            "numpy.core.multiarray._reconstruct",
            "numpy.core.multiarray.scalar",
        ]
    )
