"""A data set in files: which pictures there are, and what reads the labels of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar, final

import numpy as np

from atrous.data.images import read_image, read_mask
from atrous.data.labels import LabelScheme
from atrous.data.palettes import Color, default_palette
from atrous.data.sample import Sample
from atrous.errors import DataError

Source = TypeVar("Source")


class Entry(NamedTuple, Generic[Source]):
    """One picture, and where its labels come from."""

    name: str
    image: Path
    source: Source


@final
class LayoutDataset(Generic[Source]):
    """Pictures in files with labels of any kind.

    Args:
        name: What to call the data set in reports.
        classes: The names of the classes, in the order of their labels.
        entries: The pictures.
        read_labels: Called with the source of an entry and the (height, width) of its upright
            picture; returns (H, W) uint8 labels, 255 where a pixel is to be ignored.
        palette: One RGB colour per class; by default the customary ones.

    Raises:
        DataError: There is no picture. Reading a sample raises it where a file cannot be read or
            does not fit the other.
    """

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        *,
        entries: Sequence[Entry[Source]],
        read_labels: Callable[[Source, tuple[int, int]], np.ndarray],
        palette: tuple[Color, ...] = (),
    ) -> None:
        if not entries:
            raise DataError(f"{name}: has no picture with labels; choose another split")
        self.name = name
        self.classes = classes
        self.palette = palette or default_palette(len(classes))
        self._entries = entries
        self._read_labels = read_labels

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        """Read one picture, turned upright, and its labels."""
        entry = self._entries[index]
        image = read_image(entry.image)
        labels = self._read_labels(entry.source, (image.shape[0], image.shape[1]))
        return Sample(image, labels, entry.name)


@final
@dataclass(frozen=True)
class MaskReader:
    """Reads labels from the values of mask files.

    Args:
        scheme: What the values mean.
        layout: What the data set is taken for, named when a value has no meaning in it.
        read: Reads the values of one file.
    """

    scheme: LabelScheme
    layout: str
    read: Callable[[Path], np.ndarray] = read_mask

    def __call__(self, path: Path, size: tuple[int, int]) -> np.ndarray:
        """Return (H, W) uint8 labels of a mask.

        Raises:
            DataError: The mask is not of this (height, width), or a value has no meaning.
        """
        raw = self.read(path)
        check_size(raw.shape, size, path)
        return self.scheme.encode(
            raw,
            str(path),
            cure=f"masks of {self.layout} have no such values: unpack it anew, or see the other "
            "layouts in docs/datasets.md",
        )


def mask_dataset(
    scheme: LabelScheme,
    layout: str,
    entries: Sequence[Entry[Path]],
    *,
    read: Callable[[Path], np.ndarray] = read_mask,
) -> LayoutDataset[Path]:
    """Return the data set of pictures with masks, each a file of its own."""
    return LayoutDataset(
        scheme.name,
        scheme.names,
        entries=entries,
        read_labels=MaskReader(scheme, layout, read),
        palette=scheme.palette,
    )


def check_size(shape: tuple[int, ...], size: tuple[int, int], file: Path) -> None:
    """Check that labels have the (height, width) of their upright picture.

    Raises:
        DataError: They have not.
    """
    if shape[:2] != size:
        raise DataError(
            f"{file}: is {shape[1]} x {shape[0]}, but its picture is {size[1]} x {size[0]} "
            "(width x height); save the labels at the size of the upright picture"
        )
