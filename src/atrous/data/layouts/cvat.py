"""Exports of CVAT in the format "CVAT for images 1.1".

    SPLIT/annotations.xml, SPLIT/images/NAME.jpg    one export for each split; or
    annotations.xml, images/SPLIT/NAME.jpg          one export of a project with subsets

Classes are the background and the labels in the order of the export. Polygons, boxes, ellipses and
masks are painted by their z order, then in that of the file, later ones on top.
"""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from atrous.data.layouts.entries import Entry, LayoutDataset
from atrous.data.layouts.listing import expect_format, inside, read_bytes, require_files
from atrous.data.layouts.painting import corners, ellipse, rectangle
from atrous.data.layouts.regions import Drawing, Region, Runs, class_numbers, paint
from atrous.errors import DataError

_FILE = "annotations.xml"
_AREAS = ("polygon", "box", "ellipse", "mask")
_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton")


def recognize(root: Path) -> bool:
    """Whether a folder looks like an export of CVAT, or holds one for each split."""
    return any((root / folder / _FILE).is_file() for folder in ("", "train"))


def open_split(root: Path, split: str) -> LayoutDataset[Drawing]:
    """Open an export, or the subset of this name in one; capitals do not matter.

    Raises:
        DataError: The export or a picture is missing, or it has another format.
    """
    single = inside(root, split, root) / _FILE
    file = single if single.is_file() else root / _FILE
    tree = _parse(file)
    names = [node.findtext("name") or "" for node in tree.iterfind("meta//labels/label")]
    numbers = class_numbers([name.strip() for name in names], file)
    images = tree.findall("image")
    if file != single:
        images = _of_subset(images, split, file)
    if not images:
        raise DataError(f"{file}: lists no picture; export it anew")
    with expect_format(file, "in the format 'CVAT for images 1.1'"):
        entries = [_entry(image, numbers, file, split) for image in images]
    require_files((entry.image for entry in entries), "tick 'save images', and export it anew")
    return LayoutDataset(root.resolve().name, tuple(numbers), entries=entries, read_labels=paint)


class _Builder(ET.TreeBuilder):
    """Builds a tree, and stops where a document defines entities, which can grow without bound."""

    def doctype(self, name: str, *_: Any) -> None:
        raise DataError(f"has a DOCTYPE '{name}', which no export has; export it anew")


def _parse(file: Path) -> ET.Element:
    content = read_bytes(file)
    parser = ET.XMLParser(target=_Builder())  # noqa: S314, no entities come through
    try:
        parser.feed(content)
        return parser.close()
    except ET.ParseError as error:
        raise DataError(f"{file}: is not XML ({error}); export it anew") from None
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def _of_subset(images: list[ET.Element], split: str, file: Path) -> list[ET.Element]:
    known = {"val": ("val", "validation"), "train": ("train", "training")}.get(split, (split,))
    subsets = sorted({image.get("subset", "") for image in images} - {""})
    chosen = [image for image in images if image.get("subset", "").lower() in known]
    if not chosen:
        raise DataError(
            f"{file}: has no subset '{split}', there is {', '.join(subsets) or 'none'}; "
            f"set subsets in CVAT, or put an export into {file.parent / split}"
        )
    return chosen


def _entry(image: ET.Element, numbers: dict[str, int], file: Path, split: str) -> Entry[Drawing]:
    name = image.attrib["name"]
    pictures = file.parent / "images"
    folders = (pictures, pictures / image.get("subset", split), file.parent)
    paths = [inside(folder, name, file) for folder in folders]
    path = next((path for path in paths if path.is_file()), paths[0])
    size = int(image.attrib["height"]), int(image.attrib["width"])
    shapes = sorted(_shapes(image, f"{file}, {name}"), key=lambda node: int(node.get("z_order", 0)))
    regions = [_region(shape, numbers, f"{file}, {name}") for shape in shapes]
    return Entry(PurePosixPath(name).with_suffix("").as_posix(), path, Drawing(file, size, regions))


def _shapes(image: ET.Element, where: str) -> Iterator[ET.Element]:
    for node in image:
        if node.tag in _WITHOUT_AREA:
            raise DataError(f"{where}: a {node.tag} has no area; make it a polygon or a mask")
        if node.tag in _AREAS:
            yield node


def _region(shape: ET.Element, numbers: dict[str, int], where: str) -> Region:
    facts = shape.attrib
    if (name := facts["label"]) not in numbers:
        raise DataError(f"{where}: a shape is labelled '{name}', which no label is; export it anew")
    label = numbers[name]
    if shape.tag == "mask":
        left, top, width, height = (int(facts[key]) for key in ("left", "top", "width", "height"))
        lengths = [int(run) for run in facts["rle"].split(",")]
        return Region(label, runs=Runs(lengths, left, top, width, height))
    if shape.tag == "polygon":
        points = np.array([pair.split(",") for pair in facts["points"].split(";")], dtype=float)
    elif shape.tag == "box":
        points = rectangle(*(float(facts[key]) for key in ("xtl", "ytl", "xbr", "ybr")))
    else:
        points = ellipse(*(float(facts[key]) for key in ("cx", "cy", "rx", "ry")))
    return Region(label, [_turned(corners(points, where), float(facts.get("rotation", 0)))])


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Return points turned clockwise about the middle of their bounding box."""
    if not math.isfinite(degrees):
        raise ValueError(f"a rotation by {degrees} cannot be drawn")
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - middle) @ np.array([(cos, sin), (-sin, cos)]) + middle
