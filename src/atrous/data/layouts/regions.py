"""Labels drawn as regions: what annotation tools save in place of masks.

Everything outside of all regions is the class "background", which is class 0.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atrous.data.labels import IGNORE_INDEX
from atrous.data.layouts.entries import check_size
from atrous.data.layouts.painting import paint_polygon, runs_to_mask
from atrous.errors import DataError

BACKGROUND = "background"


class Runs(NamedTuple):
    """Run lengths within a box, the first run being outside of the region."""

    lengths: Sequence[int] | np.ndarray
    left: int
    top: int
    width: int
    height: int
    by_column: bool = False


class Region(NamedTuple):
    """What one class covers, in polygons of (N, 2) points, in runs, or both."""

    label: int
    polygons: Sequence[np.ndarray] = ()
    runs: Runs | None = None


class Drawing(NamedTuple):
    """The regions of one picture, the lowest first, in a file that may tell (height, width)."""

    file: Path
    size: tuple[int, int] | None
    regions: Sequence[Region]


def paint(drawing: Drawing, size: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) uint8 labels that a drawing means.

    Raises:
        DataError: The picture is not of the size that was drawn on, or run lengths do not fit.
    """
    check_size(drawing.size or size, size, drawing.file)
    labels = np.zeros(size, dtype=np.uint8)
    for region in drawing.regions:
        for points in region.polygons:
            paint_polygon(labels, points, region.label)
        if region.runs:
            _paint_runs(labels, region.runs, region.label, str(drawing.file))
    return labels


def class_numbers(names: Iterable[str], file: Path) -> dict[str, int]:
    """Return the label of each class, the background first, then in the order given.

    Raises:
        DataError: No class is named, or more than labels can tell apart.
    """
    classes = list(dict.fromkeys([BACKGROUND, *names]))
    if not 2 <= len(classes) < IGNORE_INDEX:
        raise DataError(
            f"{file}: names {len(classes) - 1} classes beside the background, expected 1 to "
            f"{IGNORE_INDEX - 2}; merge or add classes"
        )
    return {name: label for label, name in enumerate(classes)}


def _paint_runs(labels: np.ndarray, runs: Runs, label: int, where: str) -> None:
    if runs.by_column:
        mask = runs_to_mask(runs.lengths, runs.width, runs.height, where).T
    else:
        mask = runs_to_mask(runs.lengths, runs.height, runs.width, where)
    window = labels[runs.top : runs.top + runs.height, runs.left : runs.left + runs.width]
    if min(runs.top, runs.left) < 0 or window.shape != mask.shape:
        raise DataError(f"{where}: a mask reaches out of the picture; export it anew")
    window[mask] = label
