"""The beginning of a file that is being downloaded: one process at a time adds to it.

It stands beside the file to come, as `.part`, and outlives its process, so that the next one can
go on where this one stopped. The lock on it vanishes with the process.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from atrous.errors import DataError, ResourceError
from atrous.files import write_atomically

_CHUNK = 2**20  # bytes
_LACKS_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some network file systems


@dataclass(frozen=True)
class PartFile:
    """What has come of `file` so far.

    Attributes:
        file: What it shall become.
        path: Where it stands meanwhile.
        descriptor: It, open and locked.
    """

    file: Path
    path: Path
    descriptor: int

    @property
    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self.descriptor).st_size

    def append(self, chunk: bytes) -> None:
        """Add `chunk` at the end.

        Raises:
            ResourceError: The disk is full; what fitted on it is kept.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            raise ResourceError(
                f"{self.path}: cannot be written ({error.strerror}); make room and run this again: "
                f"the {self.size / 1e6:.1f} MB that came are kept"
            ) from error

    def clear(self) -> None:
        """Forget what came; an empty part is removed when it is let go."""
        os.ftruncate(self.descriptor, 0)

    def finish(self, sha256: str) -> None:
        """Copy the part to where the file belongs, if it is the right one, and clear it.

        Args:
            sha256: What the SHA-256 of the file begins with, or all of it.

        Raises:
            DataError: It has another; the part is cleared then.
            ResourceError: The disk is full; the part is kept.
        """

        def copy(out: IO[bytes]) -> None:
            found = hashlib.sha256()
            with self.path.open("rb") as part:
                while chunk := part.read(_CHUNK):
                    found.update(chunk)
                    out.write(chunk)
            if not found.hexdigest().startswith(sha256):
                self.clear()
                raise DataError(
                    f"{self.file}: what came is not the published file: its SHA-256 begins with "
                    f"{found.hexdigest()[: len(sha256)]}, not {sha256}; it was removed, run this "
                    "again"
                )

        write_atomically(self.file, copy)
        self.clear()


def has_sha256(file: Path, sha256: str) -> bool:
    """Return whether `file` is there and its SHA-256 begins with `sha256`."""
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(sha256)


@contextmanager
def open_part(file: Path, *, say: Callable[[str], object]) -> Iterator[PartFile]:
    """Open the part of `file`, alone; wait for another process that has it open.

    Args:
        file: What is to be downloaded; its folder is made.
        say: Told, in one line, that there is something to wait for.

    Raises:
        ResourceError: The folder cannot be written.
    """
    path = file.with_name(f"{file.name}.part")
    try:
        descriptor = _lock(path, say)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({error.strerror})") from error
    part = PartFile(file, path, descriptor)
    try:
        yield part
    finally:
        if part.size == 0:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path, say: Callable[[str], object]) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _wait_for_lock(descriptor, path, say)
        except BaseException:
            os.close(descriptor)
            raise
        if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)  # its holder removed it between our opening and locking it


def _wait_for_lock(descriptor: int, path: Path, say: Callable[[str], object]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another process that writes {path}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _LACKS_LOCKS:  # without locks, two at once end in a wrong SHA-256
            raise
