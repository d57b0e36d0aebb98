"""Several splits read as one: `train+val`, in the notation of the Hugging Face library."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.errors import UsageError

if TYPE_CHECKING:
    from atrous.data.dataset import Dataset


def split_names(split: str) -> list[str]:
    """Return the splits that `split` joins; of a plain name, the name alone.

    Raises:
        UsageError: A name is missing, or there twice.

    Example:
        >>> split_names("train+val"), split_names("train")
        (['train', 'val'], ['train'])
    """
    names = split.split("+")
    if len(names) > 1 and ("" in names or len(set(names)) < len(names)):
        raise UsageError(f"split '{split}': + joins different splits, as in train+val")
    return names


class JoinedSplits:
    """Splits of one data set, one after the other.

    Args:
        parts: The splits by their names, all of the same classes. In the whole, sample NAME of
            split SPLIT is called SPLIT/NAME.

    Example:
        >>> from atrous.data import ShapesDataset
        >>> parts = {split: ShapesDataset(split) for split in ("train", "val")}
        >>> len(JoinedSplits(parts)), JoinedSplits(parts)[0].name
        (2100, 'train/train-000000')
    """

    def __init__(self, parts: "Mapping[str, Dataset]") -> None:
        self._parts = list(parts.items())
        self._ends = list(accumulate(len(part) for _, part in self._parts))
        first = self._parts[0][1]
        self.name, self.classes = first.name, first.classes
        self.palette: tuple[Color, ...] = first.palette

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """Read one sample of the split that it is in."""
        split, part, place = self._find(index)
        sample = part[place]
        return sample._replace(name=f"{split}/{sample.name}")

    def labels_at(self, index: int) -> np.ndarray:
        """Read (H, W) uint8 labels, without the picture where the split can do that."""
        _, part, place = self._find(index)
        read = getattr(part, "labels_at", None)
        return part[place].labels if read is None else read(place)

    def _find(self, index: int) -> "tuple[str, Dataset, int]":
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        split, part = self._parts[number]
        return split, part, index - (self._ends[number] - len(part))
