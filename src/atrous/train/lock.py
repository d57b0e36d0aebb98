"""One trainer in one run directory: a lock that vanishes with the process, however it ends."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atrous.errors import ResourceError, UsageError

_NAME = ".lock"
_LACKS_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some network file systems
_held: set[int] = set()


@contextmanager
def hold(folder: Path, *, say: Callable[[str], object] = lambda _: None) -> Iterator[None]:
    """Keep other trainers out of `folder`, which is made; taken away again if it stays empty.

    Args:
        folder: The run directory.
        say: Told, in one line, where a file system has no locks; then nothing is kept out.

    Raises:
        UsageError: Another process trains in it; the message has its number.
        ResourceError: The folder cannot be written.
    """
    try:
        file = _lock(folder)
    except OSError as error:
        if error.errno not in _LACKS_LOCKS:
            raise ResourceError(f"{folder}: cannot be written ({error.strerror})") from error
        say(f"{folder}: no locks on this file system; see that no other training writes there")
        yield
        return
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        (folder / _NAME).unlink(missing_ok=True)
        os.close(file)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _lock(folder: Path) -> int:
    """Return the locked file, open."""
    path = folder / _NAME
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise UsageError(
                f"{folder}: process {holder} is training there; wait for it, stop it by "
                f"'kill {holder}', or choose another --out"
            ) from None
        except OSError:
            os.close(file)
            raise
        if _is_at(path, file):
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
            return file
        os.close(file)  # its holder took it away between our opening and locking it


def _is_at(path: Path, file: int) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file))


def _let_go() -> None:
    """Keep the data workers from holding a lock longer than the trainer lives."""
    for file in _held:
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
