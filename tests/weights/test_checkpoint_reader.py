import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from atrous.errors import DataError
from atrous.weights import checkpoint_reader
from atrous.weights.checkpoint_reader import read_checkpoint

WEIGHT = torch.arange(6.0).view(2, 3)


def test_the_tree_comes_back_in_its_order(tmp_path):
    content = {
        "epoch": 3,
        "model": {"b.weight": WEIGHT.T, "a.weight": WEIGHT.half(), "n": torch.tensor(7)},
        "array": np.arange(3, dtype=np.float32),
        "meta": {"CLASSES": ("sky", "road"), "PALETTE": [[1, 2, 3], [4, 5, 6]]},
    }
    torch.save(content, tmp_path / "a.pth")
    tree = read_checkpoint(tmp_path / "a.pth")
    assert list(tree) == list(content)
    assert list(tree["model"]) == ["b.weight", "a.weight", "n"]
    assert torch.equal(tree["model"]["b.weight"], WEIGHT.T)
    assert tree["model"]["a.weight"].dtype == torch.float16
    assert tree["array"].tolist() == [0, 1, 2]
    assert tree["meta"] == {"CLASSES": ["sky", "road"], "PALETTE": [[1, 2, 3], [4, 5, 6]]}


def test_safetensors_are_read_without_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    save_file({"weight": WEIGHT}, tmp_path / "a.safetensors")
    assert torch.equal(read_checkpoint(tmp_path / "a.safetensors")["weight"], WEIGHT)


def test_a_model_file_is_told(tmp_path):
    save_file({"weight": WEIGHT}, tmp_path / "a.safetensors", metadata={"atrous": "{}"})
    with pytest.raises(DataError, match=r"a\.safetensors: a model file of atrous already"):
        read_checkpoint(tmp_path / "a.safetensors")


@pytest.fixture
def checkpoint(tmp_path):
    torch.save({"weight": WEIGHT}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


def answer(monkeypatch, code: str) -> None:
    """Let another program answer in the place of the reader."""
    script = f"import sys, time, os\n{code}"
    run = subprocess.run

    def run_other(words, **options):
        assert words[:2] == [sys.executable, "-I"]
        return run([sys.executable, "-c", script], **options)

    monkeypatch.setattr(subprocess, "run", run_other)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "sys.stderr.write('warning\\nnot \\x1b[2J so\\n'); sys.exit(1)",
            r"cannot read it safely: not \\x1b[2J so",
        ),
        ("os.kill(os.getpid(), 9)", "its process was ended with code -9"),
        ("time.sleep(60)", "was not read in 1 s, and is refused"),
    ],
)
def test_a_reader_that_fails_is_told_in_one_line(checkpoint, monkeypatch, code, said):
    monkeypatch.setattr(checkpoint_reader, "_SECONDS_AT_LEAST", 1)
    answer(monkeypatch, code)
    with pytest.raises(DataError) as caught:
        read_checkpoint(checkpoint)
    assert str(caught.value).startswith(f"{checkpoint}: ")
    assert said.replace("\\\\", "\\") in str(caught.value)


class Payload:
    """Unpickling it writes a file."""

    def __reduce__(self):
        return exec, ("open('sprung', 'w').close()",)


def test_what_a_scan_would_miss_is_refused_by_the_reader(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint_reader, "scan", lambda *_: None)
    torch.save({"weight": Payload()}, "a.pth")
    with pytest.raises(DataError, match=r"a\.pth: torch cannot read it safely: .*exec"):
        read_checkpoint("a.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_small_file_with_an_enormous_tensor_is_refused(tmp_path):
    torch.save({"weight": torch.ones(1).expand(2**40)}, tmp_path / "a.pth")  # one value is stored
    with pytest.raises(DataError, match=r"a\.pth: torch cannot read it safely: ") as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert "\n" not in str(caught.value)
