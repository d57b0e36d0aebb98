"""Pascal VOC 2012, and its extension by the Semantic Boundaries Dataset (SBD).

    JPEGImages/NAME.jpg
    SegmentationClass/NAME.png          palette indices 0 to 20, 255 along the outlines
    ImageSets/Segmentation/SPLIT.txt    names: train, val, trainval
    SegmentationClassAug/NAME.png       for the list trainaug.txt, or SBD's cls/NAME.mat

The folder may be VOC2012 itself, or the VOCdevkit that holds it.

Papers: Everingham et al. 2015, "The Pascal Visual Object Classes Challenge: A Retrospective",
doi:10.1007/s11263-014-0733-5; Hariharan et al. 2011, "Semantic Contours from Inverse Detectors",
doi:10.1109/ICCV.2011.6126343. DeepLab trains on the 10,582 pictures of `trainaug`
(arXiv:1606.00915, section 4.1).
"""

import io
from pathlib import Path

import numpy as np

from atrous.data.images import read_mask
from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.layouts.entries import Entry, LayoutDataset, mask_dataset
from atrous.data.layouts.listing import inside, read_bytes, read_list, require_files
from atrous.data.palettes import default_palette
from atrous.errors import DataError, MissingExtraError

NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
_MASKS = "SegmentationClass"
_OUTLINE = 0xE0E0C0  # the colour of palette entry 255

SCHEME = LabelScheme(
    name="Pascal VOC 2012",
    classes=tuple(
        ClassEntry(name=name, value=value, color=color)
        for value, (name, color) in enumerate(zip(NAMES, default_palette(21), strict=True))
    ),
    ignore=(255, _OUTLINE),
)


def recognize(root: Path) -> bool:
    """Whether a folder looks like Pascal VOC."""
    return any(not (home / "labelmap.txt").is_file() for home in homes(root, _MASKS))


def open_split(root: Path, split: str) -> LayoutDataset[Path]:
    """Open a list of ImageSets/Segmentation, by its name without suffix.

    Raises:
        DataError: A folder, the list, or a file that it names is missing.
    """
    home = find_home(root, _MASKS)
    masks = ["SegmentationClassAug/{}.png"] if split.endswith("aug") else []
    masks += [_MASKS + "/{}.png", "cls/{}.mat"]
    names = read_split(home / "ImageSets" / "Segmentation", split)
    entries = [
        Entry(name, home / f"JPEGImages/{name}.jpg", _first_file(home, masks, name))
        for name in names
    ]
    require_files((entry.image for entry in entries), "unpack the pictures of VOCtrainval")
    require_files(
        (entry.source for entry in entries),
        "unpack the masks there; for trainaug, SBD's folder dataset/cls can be put beside "
        "SegmentationClass",
    )
    return mask_dataset(SCHEME, "Pascal VOC", entries, read=_read)


def homes(root: Path, masks: str) -> list[Path]:
    """Return the folders in and below `root` that have pictures and this folder of masks."""
    years = sorted([*root.glob("VOC20??"), *root.glob("VOCdevkit/VOC20??")], reverse=True)
    return [
        home
        for home in (root, *years)
        if (home / "JPEGImages").is_dir() and (home / masks).is_dir()
    ]


def find_home(root: Path, masks: str) -> Path:
    """Return the folder that holds pictures and masks; of several years the last.

    Raises:
        DataError: There is none.
    """
    if found := homes(root, masks):
        return found[0]
    raise DataError(
        f"{root}: holds no JPEGImages beside {masks}; give the folder VOC2012 or VOC2010, or the "
        "VOCdevkit that holds it"
    )


def read_split(folder: Path, split: str) -> list[str]:
    """Return the names of the pictures in a list.

    Raises:
        DataError: There is no such list, or it has something else than names.
    """
    path = inside(folder, f"{split}.txt", folder)
    if not path.is_file():
        lists = ", ".join(sorted(file.stem for file in folder.glob("*.txt"))) or "none"
        raise DataError(f"{path}: no such list; there is {lists}")
    names = read_list(path)
    for name in names:
        if " " in inside(folder, name, path).name:
            raise DataError(f"{path}: {name[:80]!r} is no name; one a line, such as 2007_000032")
    return names


def _first_file(home: Path, patterns: list[str], name: str) -> Path:
    """Return the first of these files that exists, or else the first."""
    paths = [home / pattern.format(name) for pattern in patterns]
    return next((path for path in paths if path.is_file()), paths[0])


def _read(path: Path) -> np.ndarray:
    """Read the values of a mask; those of SBD are MATLAB files."""
    if path.suffix != ".mat":
        return read_mask(path)
    try:
        from scipy.io import loadmat  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("scipy", "datasets") from None
    content = read_bytes(path, 50_000_000)
    try:
        values = loadmat(io.BytesIO(content))["GTcls"]["Segmentation"][0, 0]
        return np.asarray(values, dtype=np.uint8)
    except Exception as error:  # a parser can raise anything on hostile bytes
        raise DataError(f"{path}: is not a mask of SBD; unpack benchmark.tgz anew") from error
