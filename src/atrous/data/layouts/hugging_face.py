"""Data sets of the Hugging Face library `datasets`: saved on disk, or by their name on the hub.

A data set needs a column "image", and one of masks: "annotation", "label", "labels", "mask" or
"segmentation_mask". What the values mean is not written in it: `--classes` says so, or a
`dataset.yaml` in the folder. A name is looked up by the library, which downloads the data set
unless it is in its cache; with HF_HUB_OFFLINE=1 it never does. A data set's own code is never run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from atrous.data.folder import read_scheme
from atrous.data.images import decode_image, decode_mask, read_image, read_mask
from atrous.data.labels import LabelScheme
from atrous.data.layouts.entries import check_size
from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.errors import DataError, MissingExtraError

_IMAGE = "image"
_MASKS = ("annotation", "label", "labels", "mask", "segmentation_mask")


def recognize(root: Path) -> bool:
    """Whether a folder holds what `save_to_disk` writes."""
    return any((root / name).is_file() for name in ("dataset_dict.json", "state.json"))


def open_split(place: Path, split: str, scheme: LabelScheme | None = None) -> "HuggingFaceDataset":
    """Open one split.

    Args:
        place: A folder, or the name of a data set on the hub.
        split: Name of the split.
        scheme: What the mask values mean; without it `dataset.yaml` in the folder says so.

    Raises:
        DataError: It cannot be loaded, lacks the split or a column, or nothing tells the classes.
        MissingExtraError: `datasets` is not installed.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("datasets", "datasets") from None
    scheme = scheme or read_scheme(place / "dataset.yaml")
    try:
        if recognize(place):
            table = datasets.load_from_disk(str(place))
        else:
            table = datasets.load_dataset(place.as_posix(), split=split)
    except Exception as error:  # the library raises whatever its parts do
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"{place}: cannot be loaded by datasets: {lines[0][:200]}") from error
    if isinstance(table, Mapping):  # of splits
        if split not in table:
            splits = ", ".join(map(str, table))
            raise DataError(f"{place}: no such split as '{split}'; there is {splits}")
        table = table[split]
    mask = next((name for name in _MASKS if name in table.column_names), None)
    if mask is None or _IMAGE not in table.column_names:
        raise DataError(
            f"{place}: has the columns {', '.join(table.column_names)}; rename them to '{_IMAGE}' "
            f"and '{_MASKS[0]}'"
        )
    for column in (_IMAGE, mask):
        table = table.cast_column(column, datasets.Image(decode=False))
    return HuggingFaceDataset(table, scheme, name=scheme.name or place.name, split=split, mask=mask)


@final
class HuggingFaceDataset:
    """The rows of a table as samples.

    Args:
        table: Its columns hold the bytes of image files, or their paths.
        scheme: What the mask values mean.
        name: What to call the data set.
        split: Its split, for the names of the samples.
        mask: Name of the column of masks.
    """

    def __init__(
        self, table: Any, scheme: LabelScheme, *, name: str, split: str, mask: str
    ) -> None:
        self.name = name
        self._table, self._scheme, self._split, self._mask = table, scheme, split, mask

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        return self._scheme.names

    @property
    def palette(self) -> tuple[Color, ...]:
        """One RGB colour per class."""
        return self._scheme.palette

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Sample:
        """Read one row; the picture is turned upright, so its mask must have that size."""
        row, name = self._table[index], f"{self._split}-{index:06d}"
        image = _image(row[_IMAGE], f"{self.name}, {name}, {_IMAGE}")
        where = f"{self.name}, {name}, {self._mask}"
        raw = _values(row[self._mask], where)
        check_size(raw.shape, (image.shape[0], image.shape[1]), Path(where))
        return Sample(image, self._scheme.encode(raw, where), name)


def _image(cell: dict[str, Any], where: str) -> np.ndarray:
    if cell["bytes"] is None:
        return read_image(cell["path"])
    return decode_image(cell["bytes"], where)


def _values(cell: dict[str, Any], where: str) -> np.ndarray:
    """Return the stored values of a mask."""
    if cell["bytes"] is None:
        return read_mask(cell["path"])
    return decode_mask(cell["bytes"], where)
