"""The one place that writes files: beside, fsynced, renamed. A file is complete or absent."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from atrous.errors import ResourceError

_UMASK = os.umask(0)
os.umask(_UMASK)


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Call `write` with an open temporary file, and put that file in the place of `path`.

    Folders above `path` are made. When `write` fails, or the process dies, what was at `path`
    before is still there, whole.

    Args:
        path: Where the file shall be.
        write: Receives a binary file to fill.

    Returns:
        `path`.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> write_atomically(folder + "/a.txt", lambda file: file.write(b"hello")).read_bytes()
        b'hello'
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".tmp-{path.name[:40]}-")
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_UMASK)  # mkstemp makes files that only the owner can read
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, ResourceError):
            raise ResourceError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, atomically."""
    return write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: str | Path, value: Mapping[str, Any] | list[Any]) -> Path:
    """Write `value` as indented JSON, atomically."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_folder_atomically(path: str | Path, fill: Callable[[Path], object]) -> Path:
    """Call `fill` with a new empty folder, and give the folder its name, in the place of any other.

    `fill` writes through this module, so that its files are fsynced when the folder gets its name.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".tmp-{path.name[:40]}-"))
        fill(temporary)
        sync_folder(temporary)
        temporary.chmod(0o777 & ~_UMASK)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
        sync_folder(path.parent)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, ResourceError):
            raise ResourceError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise
    return path


def scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return an empty folder that is gone when its `with` ends: for what writes by path only.

    Example:
        >>> with scratch_folder() as folder:
        ...     path = write_text(Path(folder, "a.txt"), "hello")
        >>> path.exists()
        False
    """
    return tempfile.TemporaryDirectory(prefix="atrous-")


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
