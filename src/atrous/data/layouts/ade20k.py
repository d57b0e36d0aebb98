"""ADE20K as in the scene parsing benchmark (SceneParse150): 150 classes.

    images/training/NAME.jpg         images/validation/NAME.jpg
    annotations/training/NAME.png    annotations/validation/NAME.png    1 to 150, 0 ignored
    objectInfo150.txt                the names of the classes

Paper: Zhou et al. 2017, "Scene Parsing through ADE20K Dataset", doi:10.1109/CVPR.2017.544;
arXiv:1608.05442, section 3.
"""

from pathlib import Path

from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import pictures_in, read_list, require_files
from atrous.errors import DataError

_NUM_CLASSES = 150
_FOLDERS = {"train": "training", "val": "validation"}
_INFO = "objectInfo150.txt"


def recognize(root: Path) -> bool:
    """Whether a folder looks like the scene parsing benchmark."""
    return (root / _INFO).is_file() and (root / "annotations").is_dir()


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open "train" or "val", also under the names of their folders.

    Raises:
        DataError: A folder or mask is missing, or the names of the classes cannot be read.
    """
    folder = _FOLDERS.get(split, split)
    pictures = pictures_in(root / "images" / folder, "train and val")
    entries = [
        Entry(name, path, root / "annotations" / folder / f"{name}.png")
        for name, path in pictures.items()
    ]
    require_files(
        (entry.source for entry in entries), "unpack annotations/ of ADEChallengeData2016 there"
    )
    return mask_dataset(_scheme(root / _INFO), "ADE20K", entries)


def _scheme(info: Path) -> LabelScheme:
    names = _names(info) if info.is_file() else [f"class {k + 1}" for k in range(_NUM_CLASSES)]
    classes = (ClassEntry(name=name, value=value) for value, name in enumerate(names, 1))
    return LabelScheme(name="ADE20K", classes=tuple(classes), ignore=(0,))


def _names(info: Path) -> list[str]:
    """Return the first synonym of each class, or all of them where that is not unique."""
    rows = [line.split("\t") for line in read_list(info)]
    wanted = [str(number) for number in range(1, _NUM_CLASSES + 1)]
    if [row[0].strip() for row in rows[1:]] != wanted:
        raise DataError(
            f"{info}: expected a header and 150 lines, 1 to 150, between tabs; unpack it anew"
        )
    full = [row[-1].strip() for row in rows[1:]]
    short = [name.partition(",")[0] for name in full]
    names = [
        long if short.count(name) > 1 else name for name, long in zip(short, full, strict=True)
    ]
    if len(set(names)) < _NUM_CLASSES or not all(names):
        raise DataError(f"{info}: a name is empty or used twice; unpack it anew")
    return names
