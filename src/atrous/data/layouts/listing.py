"""Which files belong to a data set: lists and documents, read with care.

Names in a list come from elsewhere: they may only lead to files inside the data set.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from atrous.data.images import images_below
from atrous.errors import DataError

_MAX_LIST_BYTES = 100_000_000
_MAX_DOCUMENT_BYTES = 2_000_000_000  # the objects of COCO's training pictures take 450 MB


def read_bytes(path: Path, max_bytes: int = _MAX_DOCUMENT_BYTES) -> bytes:
    """Read a file whole.

    Raises:
        DataError: It is missing, no regular file or too large.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path}: no such file; check the folder, or unpack the data set anew")
        if path.stat().st_size > max_bytes:
            raise DataError(f"{path}: is larger than {max_bytes:,} bytes; split it")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def read_list(path: Path) -> list[str]:
    """Read the lines of a text file, without those that are empty.

    Raises:
        DataError: As for `read_bytes`, or the file is not UTF-8 or has no line.
    """
    try:
        text = read_bytes(path, _MAX_LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as such") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; unpack the data set anew")
    return lines


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        DataError: As for `read_bytes`, or the file is no JSON or holds something else.
    """
    try:
        document = json.loads(read_bytes(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}; export it anew"
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: cannot be read as JSON ({type(error).__name__}); export it anew"
        ) from None
    if not isinstance(document, dict):
        raise DataError(f"{path}: holds a {type(document).__name__}, expected a JSON object")
    return document


@contextmanager
def expect_format(file: Path, what: str) -> Iterator[None]:
    """Turn whatever a document lacks into an error that names its file and format."""
    try:
        yield
    except DataError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        fault = f"{type(error).__name__}: {str(error)[:80]}"
        raise DataError(f"{file}: is not {what} ({fault}); export it anew") from None


def inside(root: Path, name: str, file: Path) -> Path:
    """Return the path of a named file below a folder.

    Args:
        root: The folder.
        name: What a list calls the file, with "/" between folders.
        file: The list, for the error.

    Raises:
        DataError: The name is absolute, or contains "..", "~", "://" or a control character.
    """
    path = PureWindowsPath(name)  # knows both separators, and drives
    strange = not name.isprintable() or "://" in name or name.startswith("~")
    if strange or path.anchor or not path.parts or ".." in path.parts:
        raise DataError(
            f"{file}: {name[:80]!r} does not lead to a file in {root}; "
            "list files by their paths below it"
        )
    return root / name


def require_files(paths: Iterable[Path], cure: str) -> None:
    """Check that files are there.

    Raises:
        DataError: Some are not; it names the first, tells how many, and what to do.
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        many = f" ({len(missing)} files are missing)" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]}: no such file{many}; {cure}")


def find_folder(candidates: Sequence[Path], cure: str) -> Path:
    """Return the first folder that exists.

    Raises:
        DataError: None does; it names the first.
    """
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise DataError(f"{candidates[0]}: no such folder; {cure}")


def pictures_in(folder: Path, splits: str) -> dict[str, Path]:
    """Return the pictures in and below a folder by their paths without suffix, sorted.

    Args:
        folder: That of a split.
        splits: Which folders could have been meant, for the error.

    Raises:
        DataError: The folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the splits are {splits}")
    pictures = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in images_below(folder)
    }
    if not pictures:
        raise DataError(f"{folder}: holds no image file; unpack the pictures there")
    return pictures
