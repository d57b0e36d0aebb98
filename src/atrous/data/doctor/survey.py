"""Reading every file of a data set folder once, and keeping a few facts about each.

No pixel outlives the reading of its file, so the memory does not grow with the pictures. Threads
share the work: decoders let go of Python's lock.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from atrous.data.images import IMAGE_SUFFIXES, images_below, read_image, read_mask
from atrous.errors import AtrousError

_MOST_VALUES = 256  # of a mask that are kept; the rarest of more colours than that are left out
_MOST_THREADS = 4
_LOSSY_HEADS = (b"\xff\xd8", b"RIFF")  # how JPEG and WebP files begin

Size = tuple[int, int]  # (height, width)
Form = Literal["grey", "colour"]


class ImageFacts(NamedTuple):
    """What is kept of a picture; `fault` says why it cannot be read."""

    path: Path
    fault: str = ""
    size: Size = (0, 0)
    digest: bytes = b""


class MaskFacts(NamedTuple):
    """What is kept of a mask.

    Attributes:
        path: Its file.
        fault: Why it cannot be read.
        lossy: Whether it is of a format that alters values; its values are then those altered.
        form: Whether it holds a number or a colour for each pixel.
        size: (height, width).
        values: (V,) int64: its distinct values, colours as 0xRRGGBB; the most frequent 256.
        counts: (V,) int64: pixels of each.
        distinct: How many distinct values there are.
    """

    path: Path
    fault: str = ""
    lossy: bool = False
    form: Form = "grey"
    size: Size = (0, 0)
    values: np.ndarray = np.zeros(0, dtype=np.int64)
    counts: np.ndarray = np.zeros(0, dtype=np.int64)
    distinct: int = 0


class Files(NamedTuple):
    """The files of one split: by their path without suffix, and those that nothing reads."""

    images: dict[str, list[Path]]
    masks: dict[str, list[Path]]
    passed_over: list[Path]

    @property
    def paired(self) -> list[str]:
        """The names that have an image and a mask."""
        return [name for name in self.images if name in self.masks]


@dataclass(frozen=True)
class Survey:
    """All that was found in a data set folder, before anything is judged.

    Attributes:
        root: The folder.
        splits: The files of each split.
        images: Facts about the pictures that were read.
        masks: Facts about the masks that were read.
    """

    root: Path
    splits: dict[str, Files]
    images: dict[Path, ImageFacts]
    masks: dict[Path, MaskFacts]

    def pairs(self, split: str) -> list[tuple[ImageFacts, MaskFacts]]:
        """Return the pairs of a split that were read, faulty ones too, in order of their names."""
        files = self.splits[split]
        paths = [(files.images[name][0], files.masks[name][0]) for name in files.paired]
        return [
            (self.images[image], self.masks[mask])
            for image, mask in paths
            if image in self.images and mask in self.masks
        ]


def list_files(root: Path) -> dict[str, Files]:
    """Find the splits of a data set folder and their files, without reading any."""
    names = {
        entry.name
        for kind in ("images", "masks")
        if (root / kind).is_dir()
        for entry in (root / kind).iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    }
    return {name: _files_of(root, name) for name in sorted(names)}


def num_files(splits: dict[str, Files]) -> int:
    """Return how many files there are to read."""
    return sum(len(spread(files, None)) for files in splits.values())


def spread(files: Files, most: int | None) -> list[Path]:
    """Choose what to read of a split: all of it, or so many names spread evenly over it."""
    names = sorted({*files.images, *files.masks})
    if most is not None and len(names) > most:
        names = [names[i * len(names) // most] for i in range(most)]
    both = (files.images, files.masks)
    return [path for name in names for paths in both for path in paths.get(name, ())]


def read_files(
    root: Path,
    splits: dict[str, Files],
    *,
    chosen: Iterable[Path] | None = None,
    on_file: Callable[[], None] = lambda: None,
) -> Survey:
    """Read pictures and masks, in threads; a file that cannot be read is a fact like others.

    Args:
        root: The data set folder.
        splits: What `list_files` found in it.
        chosen: The files to read; by default all.
        on_file: Called after each.
    """
    if chosen is None:
        chosen = [path for files in splits.values() for path in spread(files, None)]
    images: dict[Path, ImageFacts] = {}
    masks: dict[Path, MaskFacts] = {}
    # Readers silence Pillow's warnings each for itself, and what one restores another may still
    # need: around all of them the same holds.
    with warnings.catch_warnings(), ThreadPoolExecutor(_threads()) as pool:
        warnings.filterwarnings("ignore", module="PIL")
        try:
            for facts in pool.map(lambda path: _facts_of(root, path), chosen):
                if isinstance(facts, MaskFacts):
                    masks[facts.path] = facts
                else:
                    images[facts.path] = facts
                on_file()
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the files that are left
    return Survey(root, splits, images, masks)


def image_facts(path: Path) -> ImageFacts:
    """Read a picture, and keep its size and a digest of its pixels."""
    try:
        pixels = read_image(path)
    except AtrousError as error:
        return ImageFacts(path, fault=_fault(error, path))
    width = str(pixels.shape[1]).encode()  # the same bytes in rows of another length are another
    digest = hashlib.blake2b(pixels.data, digest_size=16, salt=width).digest()
    return ImageFacts(path, size=pixels.shape[:2], digest=digest)


def mask_facts(path: Path) -> MaskFacts:
    """Read a mask, and count its values."""
    lossy = False
    try:
        raw = read_mask(path)
    except AtrousError as error:
        altered = _read_lossy(path)
        if altered is None:
            return MaskFacts(path, fault=_fault(error, path))
        lossy, raw = True, altered
    values, counts = _count(raw)
    most = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
    form: Form = "grey" if raw.ndim == 2 else "colour"
    return MaskFacts(
        path,
        lossy=lossy,
        form=form,
        size=raw.shape[:2],
        values=values[most],
        counts=counts[most],
        distinct=len(values),
    )


def _files_of(root: Path, split: str) -> Files:
    folders = [root / kind / split for kind in ("images", "masks")]
    images, masks = ([] if not folder.is_dir() else images_below(folder) for folder in folders)
    passed_over = [
        path
        for folder in folders
        for path in sorted(folder.glob("**/*"))
        if path.suffix.lower() not in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    return Files(_by_name(folders[0], images), _by_name(folders[1], masks), passed_over)


def _by_name(folder: Path, paths: list[Path]) -> dict[str, list[Path]]:
    """Group files by their path without suffix, which is what makes a pair."""
    names: dict[str, list[Path]] = {}
    for path in paths:
        names.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return names


def _facts_of(root: Path, path: Path) -> ImageFacts | MaskFacts:
    is_mask = path.is_relative_to(root / "masks")
    return mask_facts(path) if is_mask else image_facts(path)


def _read_lossy(path: Path) -> np.ndarray | None:
    """Return the values of a JPEG or WebP mask, (H, W) or (H, W, 3); None if it is neither."""
    try:
        pixels = read_image(path)
        with path.open("rb") as file:
            if not file.read(4).startswith(_LOSSY_HEADS):
                return None
    except (AtrousError, OSError):
        return None
    is_grey = (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0] if is_grey else pixels


def _count(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of a mask and how many pixels have each, both int64."""
    if raw.ndim == 2:
        counts = np.bincount(raw.reshape(-1))
        values = np.flatnonzero(counts)
        return values, counts[values]
    red, green, blue = (raw[:, :, channel].astype(np.int64) for channel in range(3))
    return np.unique(red << 16 | green << 8 | blue, return_counts=True)


def _fault(error: AtrousError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _threads() -> int:
    return min(_MOST_THREADS, os.cpu_count() or 1)
