import io
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict

import numpy as np
import pytest
import torch

from atrous.errors import DataError
from atrous.weights import checkpoint_scan
from atrous.weights.checkpoint_scan import scan

STATE = OrderedDict(weight=torch.ones(3), half=torch.ones(2).half(), count=torch.tensor(3))


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model": STATE, "args": Namespace(lr=0.1), "epoch": 3, "best": None, "done": True},
        {"weight": torch.nn.Parameter(torch.ones(2))},
        {"array": np.ones((2, 3), np.float32), "number": np.float64(3), "kind": np.int64(2)},
        {"lr": 1e-3, "names": ("a", "b"), "bytes": b"x", "size": torch.Size([2]), "set": {1}},
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_training_programs_save_passes(tmp_path, content, is_zip):
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with path.open("rb") as file:
        scan(path, file)


def complaint(content: bytes) -> str:
    with pytest.raises(DataError, match=r"^x\.pth: ") as caught:
        scan("x.pth", io.BytesIO(content))
    return str(caught.value)


def archive(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name.replace("__", "/") + ".pkl", text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"", "empty"),
        (b"\x80\x04\x95", "a pickle that torch.save did not write"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"\x10\0\0\0\0\0\0\0{}", "safetensors; give it the ending"),
        (b"\0" * 257 + b"ustar", "a tar archive"),
        (b"\1\2\3\4\5\6\7\xff\xff", r"a file that begins with b'\x01\x02"),
    ],
)
def test_other_files_are_told_by_how_they_begin(start, what):
    assert f"not a checkpoint of torch, but {what}" in complaint(start)


def test_every_name_is_looked_at():
    # One allowed global, then another that is not.
    text = b"\x80\x02ccollections\nOrderedDict\ncnumpy\nload\n."
    assert complaint(archive(a__data=text)).endswith("asks for numpy.load, which no tensor needs")


def test_what_a_terminal_would_obey_is_escaped():
    said = complaint(archive(a__data=b"\x80\x02cevil\x1b[2J\nname\n."))
    assert "\x1b" not in said
    assert "evil\\x1b[2J.name" in said


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("_MOST_OPCODES", 3, "more than 3 steps"),
        ("_MOST_BYTES", 3, "its data.pkl has"),
        ("_MOST_ENTRIES", 1, "has 2 entries"),
    ],
)
def test_there_are_limits(monkeypatch, limit, value, said):
    content = archive(a__data=pickle.dumps([1, 2, 3], 2), a__version=b"3")
    scan("x.pth", io.BytesIO(content))
    monkeypatch.setattr(checkpoint_scan, limit, value)
    assert said in complaint(content)


def test_a_legacy_file_is_looked_at_to_its_last_pickle(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    scan(path, io.BytesIO(content))
    evil = content.replace(b"ctorch\nHalfStorage\n", b"cposix\nsystem\n")
    assert "posix.system" in complaint(evil)
    assert "its pickle is damaged" in complaint(content[:40])
