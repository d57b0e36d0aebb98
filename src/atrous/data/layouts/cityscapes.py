"""Cityscapes: street scenes of 50 cities, 19 classes.

    leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png
    gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png         34 ids, or
    gtFine/SPLIT/CITY/NAME_gtFine_labelTrainIds.png    the 19 classes, 255 ignored

Paper: Cordts et al. 2016, "The Cityscapes Dataset for Semantic Urban Scene Understanding",
arXiv:1604.01685, section 2 and appendix.
"""

from pathlib import Path

from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import pictures_in, require_files
from atrous.data.palettes import Color

# The id of each class among the 34, in the order of the 19, and its colour.
_CLASSES: dict[str, tuple[int, Color]] = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
_IDS = [number for number, _ in _CLASSES.values()]
_SUFFIX = "_leftImg8bit"


def _scheme(values: list[int], ignore: set[int]) -> LabelScheme:
    classes = (
        ClassEntry(name=name, value=value, color=color)
        for value, (name, (_, color)) in zip(values, _CLASSES.items(), strict=True)
    )
    return LabelScheme(name="Cityscapes", classes=tuple(classes), ignore=tuple(sorted(ignore)))


# How the masks end, the preferred ones first, and what their values mean; 255 is id -1.
_SCHEMES = {
    "labelIds": _scheme(_IDS, {*range(34), 255}.difference(_IDS)),
    "labelTrainIds": _scheme(list(range(19)), {255}),
}


def recognize(root: Path) -> bool:
    """Whether a folder looks like Cityscapes."""
    return (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir()


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open a folder of leftImg8bit: "train", "val" or "test".

    Raises:
        DataError: The folder, or the mask of a picture, is missing.
    """
    pictures = pictures_in(root / "leftImg8bit" / split, "train, val and test")
    names = {name.removesuffix(_SUFFIX): path for name, path in pictures.items()}
    masks = root / "gtFine" / split
    has_ids = next(masks.glob("*/*_gtFine_labelIds.png"), None) is not None
    kind = (
        "labelIds" if has_ids or not any(masks.glob("*/*_labelTrainIds.png")) else "labelTrainIds"
    )
    entries = [
        Entry(name, path, masks / f"{name}_gtFine_{kind}.png") for name, path in names.items()
    ]
    require_files((entry.source for entry in entries), "unpack gtFine_trainvaltest.zip there")
    return mask_dataset(_SCHEMES[kind], "Cityscapes", entries)
