"""Pictures outlined with labelme.

    SPLIT/NAME.jpg
    SPLIT/NAME.json    the shapes; folders below a split are kept
    labels.txt         the classes, one a line, in this order; may be left out

Polygons, rectangles, circles and masks are painted in the order of the file, later ones on top.
The rest is background. Pixels of `__ignore__` are ignored. Without labels.txt all files are read
once, and the classes are sorted by name.
"""

import base64
import binascii
import math
from pathlib import Path
from typing import Any

import numpy as np

from atrous.data.images import IMAGE_SUFFIXES, decode_image
from atrous.data.labels import IGNORE_INDEX
from atrous.data.layouts.entries import Entry, LayoutDataset
from atrous.data.layouts.listing import (
    expect_format,
    inside,
    pictures_in,
    read_list,
    read_object,
    require_files,
)
from atrous.data.layouts.painting import corners, ellipse, mask_to_runs, rectangle
from atrous.data.layouts.regions import BACKGROUND, Drawing, Region, Runs, class_numbers, paint
from atrous.errors import DataError

_LIST = "labels.txt"
_IGNORED = "__ignore__"
_BACKGROUNDS = ("_background_", BACKGROUND)


def recognize(root: Path) -> bool:
    """Whether a folder looks like one that labelme was used on."""
    first = min((path for path in root.glob("*/*.json") if path.is_file()), default=None)
    if first is None or not any(first.with_suffix(end).is_file() for end in IMAGE_SUFFIXES):
        return False
    with first.open("rb") as file:
        return b'"shapes"' in file.read(4096)


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open the pictures in the folder of a split.

    Raises:
        DataError: The folder, or the file of a picture, is missing.
    """
    pictures = pictures_in(inside(root, split, root), "folders of pictures, such as train and val")
    entries = [Entry(name, path, path.with_suffix(".json")) for name, path in pictures.items()]
    require_files((entry.source for entry in entries), "save it in labelme, or remove the picture")
    listing = root / _LIST
    numbers = class_numbers(_listed(listing) if listing.is_file() else _found(root), listing)
    return LayoutDataset(
        root.resolve().name, tuple(numbers), entries=entries, read_labels=_Reader(numbers)
    )


class _Reader:
    """Paints the shapes in a file of labelme."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = {**numbers, _IGNORED: IGNORE_INDEX} | dict.fromkeys(_BACKGROUNDS, 0)

    def __call__(self, file: Path, size: tuple[int, int]) -> np.ndarray:
        document = read_object(file)
        with expect_format(file, "a file of labelme"):
            height, width = document.get("imageHeight"), document.get("imageWidth")
            drawn_on = (int(height), int(width)) if height and width else None
            regions = [
                self._region(shape, f"{file}, shape {number}")
                for number, shape in enumerate(_shapes(document), 1)
            ]
        return paint(Drawing(file, drawn_on, regions), size)

    def _region(self, shape: dict[str, Any], where: str) -> Region:
        if (name := shape["label"]) not in self._numbers:
            raise DataError(f"{where}: is labelled '{name}'; add that to {_LIST}, or rename it")
        label, kind = self._numbers[name], shape.get("shape_type") or "polygon"
        points = [(float(x), float(y)) for x, y in shape["points"]]
        if kind == "polygon":
            return Region(label, [corners(points, where)])
        if kind not in {"rectangle", "circle", "mask"} or len(points) < 2:
            raise DataError(f"{where}: a {kind} has no area; draw a polygon, rectangle or circle")
        if kind == "mask":
            return Region(label, runs=_mask_runs(shape["mask"], points[0], where))
        (x, y), (to_x, to_y) = points[0], points[-1 if kind == "circle" else len(points) // 2]
        if kind == "rectangle":
            return Region(label, [corners(rectangle(x, y, to_x, to_y), where)])
        radius = math.hypot(to_x - x, to_y - y)
        return Region(label, [corners(ellipse(x, y, radius, radius), where)])


def _mask_runs(encoded: str, corner: tuple[float, float], where: str) -> Runs:
    """Return the mask, a PNG in base 64, that lies with its upper left pixel at a corner."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise DataError(f"{where}: its mask is not base 64; draw it anew") from None
    mask = decode_image(content, where)[:, :, 0] > 0
    return Runs(
        mask_to_runs(mask), round(corner[0]), round(corner[1]), mask.shape[1], mask.shape[0]
    )


def _listed(listing: Path) -> list[str]:
    return [name for name in read_list(listing) if name not in (*_BACKGROUNDS, _IGNORED)]


def _found(root: Path) -> list[str]:
    """Return the classes that occur in any file, of any split."""
    names = set()
    for file in sorted(root.glob("*/**/*.json")):
        with expect_format(file, "a file of labelme"):
            names.update(str(shape["label"]) for shape in _shapes(read_object(file)))
    return sorted(names.difference(_BACKGROUNDS, [_IGNORED]))


def _shapes(document: dict[str, Any]) -> list[dict[str, Any]]:
    shapes = document["shapes"]
    if not isinstance(shapes, list):
        raise TypeError("shapes is no list")
    return shapes
