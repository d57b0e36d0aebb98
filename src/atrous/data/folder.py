"""A data set that is a folder of pictures and masks.

    dataset.yaml               name, classes and values to ignore
    images/SPLIT/**/NAME.jpg   pictures (JPEG, PNG, WebP, TIFF, BMP)
    masks/SPLIT/**/NAME.png    one mask for each, of the same size

Nothing is ever written into the folder.
"""

import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from atrous.data.images import images_below, read_image, read_mask
from atrous.data.labels import LabelScheme
from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.errors import DataError

_MAX_YAML_BYTES = 1_000_000


class _Pair(NamedTuple):
    name: str
    image: Path
    mask: Path


class FolderDataset:
    """The pictures and masks of one split of a folder.

    Args:
        root: The folder.
        split: Name of the split, such as "train" or "val".
        scheme: What the mask values mean; without it `dataset.yaml` says so.

    Attributes:
        scheme: What the mask values mean.

    Raises:
        DataError: The folder or split is missing or empty, `dataset.yaml` is missing or wrong, or
            pictures and masks do not pair up. Reading a sample raises it where a file cannot be
            read, the sizes of picture and mask differ, or a mask value is unknown.

    Example:
        >>> FolderDataset("my-data", "train")[0].image.shape  # doctest: +SKIP
        (480, 640, 3)
    """

    def __init__(self, root: str | Path, split: str, scheme: LabelScheme | None = None) -> None:
        self._root = Path(root)
        if not self._root.is_dir():
            raise DataError(f"{root}: no such folder; give a data set folder, or 'shapes'")
        self.scheme = scheme or read_scheme(self._root / "dataset.yaml")
        self._pairs = _pair_up(self._root, split)

    @property
    def name(self) -> str:
        """The name in `dataset.yaml`, or else that of the folder."""
        return self.scheme.name or self._root.resolve().name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        return self.scheme.names

    @property
    def palette(self) -> tuple[Color, ...]:
        """One RGB colour per class."""
        return self.scheme.palette

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair; the picture is turned upright, so its mask must have that size."""
        name, image_path, mask_path = self._pairs[index]
        image, raw = read_image(image_path), read_mask(mask_path)
        if image.shape[:2] != raw.shape[:2]:
            raise DataError(
                f"{mask_path}: is {_size(raw.shape)}, but {image_path} is {_size(image.shape)}; "
                "save the mask at the size of the upright image"
            )
        return Sample(image, self.scheme.encode(raw, str(mask_path)), name)

    def labels_at(self, index: int) -> np.ndarray:
        """Read (H, W) uint8 labels alone, without the picture that they belong to."""
        mask_path = self._pairs[index].mask
        return self.scheme.encode(read_mask(mask_path), str(mask_path))


def read_scheme(path: Path) -> LabelScheme:
    """Read what the mask values mean from a `dataset.yaml`.

    Raises:
        DataError: The file is missing, is no YAML, or has an unknown key or a wrong value.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file, so the meaning of the mask values is unknown; `atrous data "
            f"check {shlex.quote(str(path.parent))} --write` proposes one and writes it; or give "
            "--classes road=0 sky=1"
        )
    if path.stat().st_size > _MAX_YAML_BYTES:
        raise DataError(f"{path}: is larger than {_MAX_YAML_BYTES:,} bytes; list classes only")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DataError(f"{path}{line}: is not YAML: {error.problem}; mend this line") from None
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({type(error).__name__})") from None
    return LabelScheme.parse(document, str(path))


def _pair_up(root: Path, split: str) -> list[_Pair]:
    """Match the images of a split with its masks by their paths without suffix."""
    images = _by_stem(_split_folder(root / "images", split))
    masks = _by_stem(_split_folder(root / "masks", split))
    for mask in masks.values():
        if mask.suffix.lower() != ".png":
            raise DataError(
                f"{mask}: a mask must be a PNG file, other formats can alter its values; "
                "make it anew from the source of the labels"
            )
    _refuse_singles(root / "images" / split, "no mask", images.keys() - masks.keys())
    _refuse_singles(root / "masks" / split, "no image", masks.keys() - images.keys())
    return [_Pair(name, images[name], masks[name]) for name in sorted(images)]


def _split_folder(folder: Path, split: str) -> Path:
    path = folder / split
    if path.is_dir():
        return path
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; a data set has images/SPLIT and masks/SPLIT")
    splits = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    raise DataError(f"{path}: no such split; there is {', '.join(splits) or 'none'}")


def _by_stem(folder: Path) -> dict[str, Path]:
    paths = images_below(folder)
    if not paths:
        raise DataError(f"{folder}: holds no image file; put the files of this split there")
    stems = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise DataError(f"{folder}: more than one file is called {_some(twice)}; keep one of each")
    return dict(zip(stems, paths, strict=True))


def _refuse_singles(folder: Path, lack: str, stems: Iterable[str]) -> None:
    if singles := sorted(stems):
        raise DataError(
            f"{folder}: {_some(singles)} {'have' if len(singles) > 1 else 'has'} {lack} "
            f"({len(singles)} in all); add what is missing or take these files out"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} (width x height)"
