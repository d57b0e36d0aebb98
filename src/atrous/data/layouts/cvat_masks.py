"""Exports of CVAT in the format "Segmentation mask 1.1".

labelmap.txt                        NAME:R,G,B:: for each class
JPEGImages/NAME.jpg                 or .png, as uploaded
SegmentationClass/NAME.png          one colour for each class
ImageSets/Segmentation/SPLIT.txt    names; "default" where no subset was set
"""

from pathlib import Path

import numpy as np

from atrous.data.images import images_below, read_image
from atrous.data.labels import LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import read_list, require_files
from atrous.data.layouts.voc import read_split
from atrous.data.palettes import Color
from atrous.errors import DataError

_MAP = "labelmap.txt"


def recognize(root: Path) -> bool:
    """Whether a folder looks like an export of masks from CVAT."""
    return (root / _MAP).is_file() and (root / "SegmentationClass").is_dir()


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open a list of ImageSets/Segmentation, by its name without suffix.

    Raises:
        DataError: The list, the map of colours, or a file that the list names is missing.
    """
    folder = root / "JPEGImages"
    pictures = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in images_below(folder)
    }
    entries = [
        Entry(
            name, pictures.get(name, folder / f"{name}.jpg"), root / f"SegmentationClass/{name}.png"
        )
        for name in read_split(root / "ImageSets" / "Segmentation", split)
    ]
    require_files((entry.image for entry in entries), "tick 'save images', and export it anew")
    require_files((entry.source for entry in entries), "export it anew")
    return mask_dataset(_scheme(root), "this export", entries, read=_read_colors)


def _read_colors(path: Path) -> np.ndarray:
    """Read a mask as colours, whether it is stored as such or with a palette."""
    return read_image(path)


def _scheme(root: Path) -> LabelScheme:
    file = root / _MAP
    lines = [line for line in read_list(file) if not line.startswith("#")]
    classes = [
        {"name": name, "value": value, "color": color}
        for value, (name, color) in enumerate(_line(line, file) for line in lines)
    ]
    return LabelScheme.parse({"name": root.resolve().name, "classes": tuple(classes)}, str(file))


def _line(line: str, file: Path) -> tuple[str, Color]:
    name, _, rest = line.partition(":")
    try:
        red, green, blue = (int(part) for part in rest.split(":")[0].split(","))
    except ValueError:
        raise DataError(
            f"{file}: '{line[:80]}' does not read NAME:R,G,B::; export it anew"
        ) from None
    return name.strip(), (red, green, blue)
