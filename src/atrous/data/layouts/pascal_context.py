"""Pascal Context: the pictures of Pascal VOC 2010 with every pixel labelled, 59 classes.

    JPEGImages/NAME.jpg
    SegmentationClassContext/NAME.png          0 background, 1 to 59
    ImageSets/SegmentationContext/SPLIT.txt    names: train, val

These are the masks that the usual converters write from `trainval_merged.json`, the classes in
the order of the alphabet. Papers report either 60 classes, or 59 with the background ignored
(DeepLab the former, arXiv:1606.00915, section 4.2); so there are two data sets. 255 is ignored.

Paper: Mottaghi et al. 2014, "The Role of Context for Object Detection and Semantic Segmentation
in the Wild", doi:10.1109/CVPR.2014.119.
"""

from pathlib import Path

from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import require_files
from atrous.data.layouts.voc import find_home, homes, read_split

_NAMES = (
    *("background", "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat"),
    *("book", "bottle", "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth"),
    *("computer", "cow", "cup", "curtain", "dog", "door", "fence", "floor", "flower", "food"),
    *("grass", "ground", "horse", "keyboard", "light", "motorbike", "mountain", "mouse"),
    *("person", "plate", "platform", "pottedplant", "road", "rock", "sheep", "shelves"),
    *("sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train", "tree", "truck"),
    *("tvmonitor", "wall", "water", "window", "wood"),
)
_CLASSES = tuple(ClassEntry(name=name, value=value) for value, name in enumerate(_NAMES))
_WITH_BACKGROUND = LabelScheme(name="Pascal Context", classes=_CLASSES, ignore=(255,))
_MASKS = "SegmentationClassContext"
_WITHOUT = LabelScheme(name="Pascal Context 59", classes=_CLASSES[1:], ignore=(0, 255))


def recognize(root: Path) -> bool:
    """Whether a folder looks like Pascal Context."""
    return bool(homes(root, _MASKS))


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open "train" or "val" with 60 classes, the background being one.

    Raises:
        DataError: A folder, the list, or a file that it names is missing.
    """
    return _open(root, split, _WITH_BACKGROUND)


def open_split_of_59(root: Path, split: str) -> LayoutDataset[Path]:
    """Open "train" or "val" with 59 classes, the background being ignored.

    Raises:
        DataError: A folder, the list, or a file that it names is missing.
    """
    return _open(root, split, _WITHOUT)


def _open(root: Path, split: str, scheme: LabelScheme) -> LayoutDataset[Path]:
    home = find_home(root, _MASKS)
    names = read_split(home / "ImageSets" / "SegmentationContext", split)
    entries = [
        Entry(name, home / f"JPEGImages/{name}.jpg", home / _MASKS / f"{name}.png")
        for name in names
    ]
    require_files((entry.image for entry in entries), "unpack the pictures of VOC 2010")
    require_files(
        (entry.source for entry in entries), "convert trainval_merged.json to masks there"
    )
    return mask_dataset(scheme, "Pascal Context", entries)
