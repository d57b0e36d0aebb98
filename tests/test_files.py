import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from atrous.errors import ResourceError
from atrous.files import (
    sync_folder,
    write_atomically,
    write_folder_atomically,
    write_json,
    write_text,
)


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_is_written_with_the_folders_above_it(tmp_path):
    path = tmp_path / "a" / "b" / "c.bin"
    assert write_atomically(path, lambda file: file.write(b"\x00\xff")) == path
    assert path.read_bytes() == b"\x00\xff"
    assert everything_below(tmp_path) == ["a", "a/b", "a/b/c.bin"]


def test_a_file_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "long, and old")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert everything_below(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError("ours"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, error):
    path = write_text(tmp_path / "a.txt", "whole")

    def fail(file):
        file.write(b"half of")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, fail)
    assert path.read_text() == "whole"
    assert everything_below(tmp_path) == ["a.txt"]


def test_a_full_disk_is_named(tmp_path):
    def fill(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.txt"
    with pytest.raises(ResourceError, match=rf"{path}: cannot be written \(No space left"):
        write_atomically(path, fill)
    assert everything_below(tmp_path) == []


def test_an_error_of_ours_inside_keeps_its_words(tmp_path):
    inner = ResourceError("b.txt: cannot be written")

    def fail(_):
        raise inner

    with pytest.raises(ResourceError) as caught:
        write_atomically(tmp_path / "a.txt", fail)
    assert caught.value is inner


@pytest.mark.parametrize("name", ["blocked/a.txt", "folder", "n" * 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "blocked").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match=r"cannot be written \(") as caught:
        write_text(tmp_path / name, "x")
    assert str(caught.value).startswith(str(tmp_path / name))
    assert everything_below(tmp_path) == ["blocked", "folder"]


def test_a_process_that_dies_leaves_what_was_there(tmp_path):
    path = write_text(tmp_path / "a.txt", "whole")
    code = (
        "import os, sys; from atrous.files import write_atomically as write\n"
        "write(sys.argv[1], lambda file: (file.write(b'half'), file.flush(), os._exit(9)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 9
    assert path.read_text() == "whole"


def test_a_long_name_is_no_obstacle(tmp_path):
    assert write_text(tmp_path / ("n" * 255), "x").read_text() == "x"
    folder = write_folder_atomically(tmp_path / ("f" * 255), lambda inside: inside)
    assert folder.is_dir()


def test_others_may_read_what_is_written_as_the_umask_says(tmp_path):
    # mkstemp would leave 0600, which a web server cannot read.
    file = write_text(tmp_path / "a.txt", "x")
    plain = tmp_path / "b.txt"
    plain.touch()
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    folder, plain = write_folder_atomically(tmp_path / "c", lambda _: None), tmp_path / "d"
    plain.mkdir()
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_text_is_utf_8_and_json_is_indented(tmp_path):
    assert write_text(tmp_path / "a.txt", "Straße\n").read_bytes() == "Straße\n".encode()
    path = write_json(tmp_path / "a.json", {"name": "Straße", "sizes": [1, 2]})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Straße", "sizes": [1, 2]}
    assert "Straße" in text
    assert text.startswith('{\n  "name"')
    assert text.endswith("}\n")


def test_a_folder_appears_complete_in_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "runs" / "step"
    write_folder_atomically(path, lambda inside: write_text(inside / "old.txt", "old"))

    def fill(inside):
        assert everything_below(path) == ["old.txt"]
        write_text(inside / "new.txt", "new")

    assert write_folder_atomically(path, fill) == path
    assert everything_below(tmp_path) == ["runs", "runs/step", "runs/step/new.txt"]


def test_a_folder_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "step"
    write_folder_atomically(path, lambda inside: write_text(inside / "old.txt", "old"))

    def fail(inside):
        write_text(inside / "new.txt", "new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ResourceError, match="step: cannot be written"):
        write_folder_atomically(path, fail)
    assert everything_below(tmp_path) == ["step", "step/old.txt"]


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (happened.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda *a: (happened.append("replace"), replace(*a)))
    write_text(tmp_path / "a.txt", "x")
    assert happened == ["fsync", "replace", "fsync"]  # of the file, and of the folder's names


def test_syncing_what_is_no_folder_fails(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        sync_folder(tmp_path / "nowhere")
