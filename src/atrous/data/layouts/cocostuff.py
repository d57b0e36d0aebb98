"""COCO-Stuff: the pictures of COCO 2017 with 80 things and 91 kinds of stuff.

    images/train2017/NAME.jpg                          images/val2017/NAME.jpg
    annotations/train2017/NAME.png                     ids less one, 255 ignored, or
    annotations/train2017/NAME_labelTrainIds.png       the 171 classes, 255 ignored

`stuffthingmaps` may stand for `annotations`, and the folders of pictures may lie beside it.

Paper: Caesar et al. 2018, "COCO-Stuff: Thing and Stuff Classes in Context", arXiv:1612.03716,
section 3.1. Of the ids 1 to 182, eleven have no pixel anywhere; 0 is "unlabeled".
"""

from pathlib import Path

from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import find_folder, pictures_in, require_files

_THINGS = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat"),
    *("dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "", "backpack"),
    *("umbrella", "", "", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard"),
    *("sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon", "bowl"),
    *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
    *("cake", "chair", "couch", "potted plant", "bed", "", "dining table", "", "", "toilet", ""),
    *("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush", ""),
)
_STUFF = (
    *("banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet", "cage"),
    *("cardboard", "carpet", "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds"),
    *("counter", "cupboard", "curtain", "desk-stuff", "dirt", "door-stuff", "fence"),
    *("floor-marble", "floor-other", "floor-stone", "floor-tile", "floor-wood", "flower", "fog"),
    *("food-other", "fruit", "furniture-other", "grass", "gravel", "ground-other", "hill"),
    *("house", "leaves", "light", "mat", "metal", "mirror-stuff", "moss", "mountain", "mud"),
    *("napkin", "net", "paper", "pavement", "pillow", "plant-other", "plastic", "platform"),
    *("playingfield", "railing", "railroad", "river", "road", "rock", "roof", "rug", "salad"),
    *("sand", "sea", "shelf", "sky-other", "skyscraper", "snow", "solid-other", "stairs"),
    *("stone", "straw", "structural-other", "table", "tent", "textile-other", "towel", "tree"),
    *("vegetable", "wall-brick", "wall-concrete", "wall-other", "wall-panel", "wall-stone"),
    *("wall-tile", "wall-wood", "water-other", "waterdrops", "window-blind", "window-other"),
    "wood",
)
_NAMES = (*_THINGS, *_STUFF)  # of the mask values 0 to 181; empty where the value has no pixel
_VALUES = [value for value, name in enumerate(_NAMES) if name]


def _scheme(values: list[int]) -> LabelScheme:
    names = filter(None, _NAMES)
    classes = (ClassEntry(name=name, value=v) for v, name in zip(values, names, strict=True))
    return LabelScheme(name="COCO-Stuff", classes=tuple(classes), ignore=(255,))


_SCHEMES = {"": _scheme(_VALUES), "_labelTrainIds": _scheme(list(range(len(_VALUES))))}


def recognize(root: Path) -> bool:
    """Whether a folder looks like COCO-Stuff."""
    return any(next(folder.glob("*2017/*.png"), None) for folder in _mask_folders(root))


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open "train" or "val", also under the names of their folders.

    Raises:
        DataError: A folder, or the mask of a picture, is missing.
    """
    folder = split if split.endswith("2017") else f"{split}2017"
    images = root / "images" if (root / "images").is_dir() else root
    masks = find_folder(_mask_folders(root), "unpack stuffthingmaps_trainval2017.zip there")
    pictures = pictures_in(images / folder, "train and val")
    # Both kinds of masks may lie in one folder; then those as they were published are read.
    has_raw = (masks / folder / f"{next(iter(pictures))}.png").is_file()
    has_train_ids = any((masks / folder).glob("*_labelTrainIds.png"))
    suffix = "_labelTrainIds" if has_train_ids and not has_raw else ""
    entries = [
        Entry(name, path, masks / folder / f"{name}{suffix}.png") for name, path in pictures.items()
    ]
    require_files(
        (entry.source for entry in entries), "unpack stuffthingmaps_trainval2017.zip there"
    )
    return mask_dataset(_SCHEMES[suffix], "COCO-Stuff", entries)


def _mask_folders(root: Path) -> list[Path]:
    return [root / "annotations", root / "stuffthingmaps"]
