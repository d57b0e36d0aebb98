"""Objects in the JSON format of COCO, which many tools export.

    annotations/instances_SPLIT2017.json    or SPLIT.json, instances_SPLIT.json, ...2014.json
    images/SPLIT2017/NAME.jpg               or SPLIT2017/, images/SPLIT/, SPLIT/, images/
    SPLIT/_annotations.coco.json            or this, with the pictures beside it

Classes are the background and the categories in the order of their ids. Outlines as polygons and
as run lengths, crowds included, are painted the largest first: of two that overlap, the smaller
one shows. Pictures without any object are background throughout.

Format: Lin et al. 2014, "Microsoft COCO: Common Objects in Context", arXiv:1405.0312.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from atrous.data.layouts.entries import Entry, LayoutDataset
from atrous.data.layouts.listing import expect_format, inside, read_object, require_files
from atrous.data.layouts.painting import corners, decode_runs, polygon_area
from atrous.data.layouts.regions import Drawing, Region, Runs, class_numbers, paint
from atrous.errors import DataError

_SINGLE = "_annotations.coco.json"
_PATTERNS = ("{}.json", "instances_{}.json", "instances_{}2017.json", "instances_{}2014.json")

_SPLITS = ("train", "val", "valid", "default")  # by which a folder is recognized


def recognize(root: Path) -> bool:
    """Whether a folder looks like one that is described in the format of COCO."""
    names = {path.name for path in (root / "annotations").glob("*.json")}
    usual = any(pattern.format(split) in names for pattern in _PATTERNS for split in _SPLITS)
    return usual or any((root / split / _SINGLE).is_file() for split in _SPLITS)


def open_split(root: Path, split: str) -> LayoutDataset[Drawing]:
    """Open the pictures that the file of a split describes.

    Raises:
        DataError: The file or a picture is missing, or the file is not in the format of COCO.
    """
    file = _find_document(root, split)
    document = read_object(file)
    with expect_format(file, "in the format of COCO"):
        categories = sorted(document["categories"], key=lambda category: category["id"])
        numbers = class_numbers([str(category["name"]) for category in categories], file)
        labels = {category["id"]: numbers[str(category["name"])] for category in categories}
        if len(categories) != len(set(labels.values())) or len(labels) != len(categories):
            raise DataError(f"{file}: two categories have one name or id; rename one")
        regions = _regions_by_picture(document["annotations"], labels, file)
        if not (images := document["images"]):
            raise DataError(f"{file}: lists no picture; export it anew")
        folder = _find_pictures(root, split, file, [str(image["file_name"]) for image in images])
        entries = [_entry(image, regions, folder, file) for image in images]
    require_files((entry.image for entry in entries), "put the pictures there")
    return LayoutDataset(root.resolve().name, tuple(numbers), entries=entries, read_labels=paint)


def _find_document(root: Path, split: str) -> Path:
    inside(root, split, root)
    candidates = [root / "annotations" / pattern.format(split) for pattern in _PATTERNS]
    candidates.append(root / split / _SINGLE)
    for path in candidates:
        if path.is_file():
            return path
    found = ", ".join(sorted(path.name for path in root.glob("annotations/*.json"))) or "none"
    raise DataError(f"{candidates[1]}: no such file; in that folder there is {found}")


def _entry(
    image: dict[str, Any], regions: dict[Any, list[Region]], folder: Path, file: Path
) -> Entry[Drawing]:
    name = str(image["file_name"])
    size = int(image["height"]), int(image["width"])
    path = inside(folder, name, file)
    drawing = Drawing(file, size, regions.get(image["id"], []))
    return Entry(path.relative_to(folder).with_suffix("").as_posix(), path, drawing)


def _find_pictures(root: Path, split: str, file: Path, names: list[str]) -> Path:
    """Return the folder that holds the first picture, or else the most usual one."""
    stem = file.stem.removeprefix("instances_")
    folders = [root / "images" / stem, root / stem, root / "images" / split, root / split]
    folders += [root / "images", root]
    if file.name == _SINGLE:
        return file.parent
    having = (folder for folder in folders if inside(folder, names[0], file).is_file())
    return next(having, folders[0]) if names else root


def _regions_by_picture(
    annotations: list[dict[str, Any]], labels: dict[Any, int], file: Path
) -> dict[Any, list[Region]]:
    """Return the regions of each picture, the largest first."""
    found: dict[Any, list[tuple[float, Region]]] = defaultdict(list)
    for annotation in annotations:
        where = f"{file}, annotation {annotation.get('id', '?')}"
        if annotation["category_id"] not in labels:
            raise DataError(f"{where}: has no known category; add it to 'categories'")
        label = labels[annotation["category_id"]]
        found[annotation["image_id"]].append(_region(annotation["segmentation"], label, where))
    if annotations and not any(area for pairs in found.values() for area, _ in pairs):
        raise DataError(f"{file}: has boxes but no outlines; export it with 'segmentation'")
    return {
        picture: [region for _, region in sorted(pairs, key=lambda pair: -pair[0])]
        for picture, pairs in found.items()
    }


def _region(segmentation: Any, label: int, where: str) -> tuple[float, Region]:
    """Return the area in pixels, and the region."""
    if isinstance(segmentation, dict):
        counts, (height, width) = segmentation["counts"], segmentation["size"]
        lengths = decode_runs(counts, where) if isinstance(counts, str) else counts
        runs = Runs(np.asarray(lengths), 0, 0, int(width), int(height), by_column=True)
        return float(sum(lengths[1::2])), Region(label, runs=runs)
    polygons = [corners(numbers, where).astype(np.float32) for numbers in segmentation]
    return sum(map(polygon_area, polygons)), Region(label, polygons)
