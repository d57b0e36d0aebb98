import os
from pathlib import Path

import pytest

from atrous.data.layouts.listing import (
    expect_format,
    find_folder,
    inside,
    pictures_in,
    read_bytes,
    read_list,
    read_object,
    require_files,
)
from atrous.errors import DataError

LIST = Path("list.txt")


def test_names_lead_below_the_root() -> None:
    assert inside(Path("a"), "b/c d.png", LIST) == Path("a/b/c d.png")


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "a/../../b", "/etc/passwd", "~/a", "~root/a", "file:///etc/passwd"),
        *("http://a/b.png", "a\0b", "C:\\a", "C:a", "\\\\host\\a", "a\\..\\..\\b", "", ".", "a\nb"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"^list\.txt: .* does not lead to a file in root; list"):
        inside(Path("root"), name, LIST)


def test_lines_are_read_as_other_systems_write_them(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa b \r\n\r\nc\r\n".encode())
    assert read_list(path) == ["a b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n \n", "is empty; unpack"), (b"\xff\xfe\xfa", "is not UTF-8 text; save it as such")],
)
def test_a_bad_list_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}: {message}"):
        read_list(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n]', r":2:1: is not JSON: .*; export it anew"),
        (b"[" * 100_000, r": cannot be read as JSON \(RecursionError\)"),
        (b"\xff\xff", r": cannot be read as JSON \(UnicodeDecodeError\)"),
        (b'{"a": ' + b"1" * 5000 + b"}", r": cannot be read as JSON \(ValueError\)"),
        (b"[1]", r": holds a list, expected a JSON object"),
    ],
)
def test_a_bad_document_is_explained(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}{message}"):
        read_object(path)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe", "."):
        with pytest.raises(DataError, match=r"no such file; check the folder"):
            read_bytes(tmp_path / name)
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(DataError, match=f"^{tmp_path}/a: is larger than 3 bytes; split it"):
        read_bytes(tmp_path / "a", 3)


def test_missing_files_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"^{tmp_path}/a: no such file; copy it$"):
        require_files([tmp_path / "a"], "copy it")
    with pytest.raises(DataError, match=r"/a: no such file \(2 files are missing\); copy them$"):
        require_files([tmp_path / "a", tmp_path / "b"], "copy them")


def test_the_first_folder_that_exists_is_found(tmp_path: Path) -> None:
    assert find_folder([tmp_path / "a", tmp_path], "unpack it") == tmp_path
    with pytest.raises(DataError, match=f"^{tmp_path}/a: no such folder; unpack it"):
        find_folder([tmp_path / "a", tmp_path / "b"], "unpack it")


def test_pictures_go_by_their_paths_without_suffix(tmp_path: Path) -> None:
    for name in ("b.jpg", "town/a.v2.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(pictures_in(tmp_path, "train")) == ["b", "town/a.v2"]
    with pytest.raises(DataError, match="/val: no such folder; the splits are train and test"):
        pictures_in(tmp_path / "val", "train and test")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="/none: holds no image file; unpack"):
        pictures_in(tmp_path / "none", "train")


@pytest.mark.parametrize("error", [KeyError("a"), IndexError("a"), ValueError("a" * 999)])
def test_what_a_document_lacks_names_its_format(error: Exception) -> None:
    with (
        pytest.raises(DataError, match=r"^list.txt: is not a poem \(\w+: '?a{1,80}'?\); export it"),
        expect_format(LIST, "a poem"),
    ):
        raise error


def test_what_is_told_already_is_told_once() -> None:
    with pytest.raises(DataError, match=r"^as it was$"), expect_format(LIST, "a poem"):
        raise DataError("as it was")
