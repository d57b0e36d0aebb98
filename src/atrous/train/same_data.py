"""A resumed run sees the data it began with: a record of every file, kept in the run directory."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from atrous.data import Dataset
from atrous.data.joined import split_names
from atrous.errors import AtrousError, DataError
from atrous.files import write_json
from atrous.train.run_directory import RECIPE

RECORD = "data.json"
_BLOCK, _BLOCKS = 1 << 14, 16  # bytes, and how many blocks of a large file are hashed

Datasets = Mapping[str, Dataset]  # by split


def keep_record(folder: Path, source: str, datasets: Datasets) -> None:
    """Write down what data the run in `folder` begins with.

    A file is known by its size, its time, and a hash: of all its bytes up to 256 KiB, which most
    masks have, and of 16 blocks of 16 KiB spread over a larger one. Compressed pictures differ
    from the first pixel on that was altered; in a large file without compression, a change between
    the blocks is not seen.

    Args:
        folder: The run directory.
        source: The data set's folder, as NAME=FOLDER too; data sets without one have no files.
        datasets: Each split of it that is used.
    """
    write_json(folder / RECORD, _record(source, datasets, known={}))


def refuse_other_data(folder: Path, source: str, datasets: Datasets) -> str | None:
    """Make sure that the data is what the run in `folder` began with.

    Files that were only copied or touched count as the same, and so does, unread, a file whose size
    and time are as they were.

    Returns:
        A line to tell where there is no record to compare with, else None.

    Raises:
        DataError: A file was added, removed or altered; the message names it.
    """
    if not (folder / RECORD).is_file():
        return f"{folder / RECORD}: is missing, so the data is not compared with the run's"
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        now = _record(source, datasets, known=before["files"])
        changes = list(_changes(before, now))
    except AtrousError:
        raise  # a file that cannot be read is no fault of the record
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / RECORD}: is damaged ({error}); delete it to go on") from error
    if changes:
        more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
        raise DataError(
            f"{changes[0]} since the run {folder} began{more}; undo it, or start another run with "
            "another --out"
        )
    return None


def _record(source: str, datasets: Datasets, *, known: Mapping[str, str]) -> dict[str, Any]:
    root = _folder_of(source)
    files = [] if root is None else sorted(_files(root, datasets))
    return {
        "source": str(source if root is None else root),
        "splits": {split: _describe(dataset) for split, dataset in datasets.items()},
        "files": {
            name: _mark(root / name, known.get(name, "")) for name in files if root is not None
        },
    }


def _describe(dataset: Dataset) -> str:
    """Return size and classes of a split, and a hash of its first sample."""
    first = dataset[0]
    sha256 = hashlib.sha256(first.image.tobytes() + first.labels.tobytes()).hexdigest()
    classes = ", ".join(dataset.classes)
    return f"{len(dataset)} samples of {classes}; the first, {first.name}, is {sha256[:16]}"


def _folder_of(source: str) -> Path | None:
    """Return the folder of a source such as DIR or NAME=DIR."""
    for place in (source, source.partition("=")[2]):
        if place and Path(place).expanduser().is_dir():
            return Path(place).expanduser()
    return None


def _files(root: Path, splits: Iterable[str]) -> Iterator[str]:
    """Yield the files of the splits, or all where it cannot be told whose they are."""
    names = dict.fromkeys(name for split in splits for name in split_names(split))
    parts = [root / kind / split for split in names for kind in ("images", "masks")]
    if all(part.is_dir() for part in parts):
        yield from (path.name for path in [root / "dataset.yaml"] if path.is_file())
    else:
        parts = [root]
    for part in parts:
        for place, folders, names in os.walk(part):
            # Neither hidden folders nor run directories.
            folders[:] = [
                name
                for name in folders
                if name[0] != "." and not (Path(place) / name / RECIPE).is_file()
            ]
            inside = Path(place).relative_to(root)
            yield from ((inside / name).as_posix() for name in names if name[0] != ".")


def _mark(path: Path, known: str) -> str:
    """Return size, time and hash of a file; `known` is what they were."""
    status = path.stat()
    stamp = f"{status.st_size} bytes, {status.st_mtime_ns}, "
    if known.startswith(stamp):
        return known
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        for start in _block_starts(status.st_size):
            file.seek(start)
            sha256.update(file.read(_BLOCK))
    return stamp + sha256.hexdigest()[:16]


def _block_starts(size: int) -> list[int]:
    """Return where the blocks of a file begin that are hashed: all, or 16 from head to tail."""
    if size <= _BLOCK * _BLOCKS:
        return list(range(0, size, _BLOCK))
    return [number * (size - _BLOCK) // (_BLOCKS - 1) for number in range(_BLOCKS)]


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    root = Path(now["source"])
    was, is_now = before["files"], now["files"]
    yield from (f"{root / name}: was removed" for name in was if name not in is_now)
    yield from (f"{root / name}: was added" for name in is_now if name not in was)
    for name in was.keys() & is_now.keys():
        if _content(was[name]) != _content(is_now[name]):
            yield f"{root / name}: was altered"
    for split, described in now["splits"].items():
        if before["splits"][split] != described:
            had = before["splits"][split]
            yield f"{root}: its {split} split had {had}, and has now {described}: it was altered"


def _content(mark: str) -> tuple[str, str]:
    """Return size and hash; the time does not count."""
    size, _, sha256 = mark.split(", ")
    return size, sha256
