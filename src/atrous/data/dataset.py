"""What a data set is, and how one is opened by its name or folder."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from atrous.data.folder import FolderDataset, read_scheme
from atrous.data.joined import JoinedSplits, split_names
from atrous.data.labels import LabelScheme
from atrous.data.layouts import hugging_face
from atrous.data.layouts.names import FOLDER, HUGGING_FACE, LAYOUTS, check_name, recognize
from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.data.shapes import DEFAULT_SIZE, ShapesDataset
from atrous.errors import UsageError

__all__ = ["Dataset", "Sample", "open_dataset"]

_NAMED = re.compile(r"(?P<name>[\w-]+)=(?P<place>.+)", re.DOTALL)


class Dataset(Protocol):
    """Pictures with labels, found by number; anything with these members will do."""

    @property
    def name(self) -> str:
        """What to call the data set in reports."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        ...

    @property
    def palette(self) -> tuple[Color, ...]:
        """One RGB colour per class."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def open_dataset(
    source: str | Path,
    split: str,
    *,
    classes: Sequence[str] = (),
    ignore: Sequence[int] = (),
    size: tuple[int, int] | None = None,
) -> Dataset:
    """Open one split of a data set.

    Args:
        source: "shapes", the built-in data set drawn on the fly; a folder; or "NAME=FOLDER" for
            one with a standard layout, such as "cityscapes=/data/cs". Without the name, a folder
            that can only be one of them is recognized, unless it holds a `dataset.yaml`;
            "folder=FOLDER" reads any folder as `FolderDataset` does. "hf=NAME" is a data set of
            the Hugging Face hub, "hf=FOLDER" one that was saved.
        split: Name of the split; "train", "val" or "test" for shapes. "train+val" joins two.
        classes: What the mask values mean, as words "NAME", "NAME=VALUE" or
            "NAME=VALUE#RRGGBB", for a folder without `dataset.yaml`. Beside one, they and
            `ignore` take its place. Standard layouts but "hf" bring their own.
        ignore: Mask values that belong to no class. Given alone, they replace those in
            `dataset.yaml`.
        size: (height, width) of the pictures in pixels, for shapes only.

    Raises:
        DataError: The folder is not a data set, or not of the layout named.
        UsageError: An option does not fit the source, a class word is malformed, no layout has
            this name, or a folder has several.
        MissingExtraError: A layout needs a package that is not installed.

    Example:
        >>> open_dataset("shapes", "val", size=(48, 64))[0].image.shape
        (48, 64, 3)
    """
    if len(names := split_names(split)) > 1:
        options = {"classes": classes, "ignore": ignore, "size": size}
        return JoinedSplits({name: open_dataset(source, name, **options) for name in names})
    if str(source) == "shapes":
        if classes or ignore:
            raise UsageError("shapes brings its own classes; leave out classes and ignore")
        return ShapesDataset(split, size=size or DEFAULT_SIZE)
    if size is not None:
        raise UsageError(f"{source}: size is for shapes only; pictures in files have their own")
    name, place = _layout_of(str(source))
    if name == FOLDER:
        return FolderDataset(place, split, scheme=label_scheme(place, classes, ignore))
    if name == HUGGING_FACE:
        return hugging_face.open_split(place, split, label_scheme(place, classes, ignore))
    if classes or ignore:
        raise UsageError(
            f"{name} brings its own classes; leave out classes and ignore, or read the folder by "
            f"'{FOLDER}={place}'"
        )
    return LAYOUTS[name].open_split(place, split)


def _layout_of(source: str) -> tuple[str, Path]:
    """Return the name of a layout, and the folder that has it."""
    place = Path(source)
    if place.is_dir():
        return recognize(place), place
    if match := _NAMED.fullmatch(source):
        check_name(match["name"])
        return match["name"], Path(match["place"]).expanduser()
    if source in {*LAYOUTS, HUGGING_FACE}:
        raise UsageError(f"{source} needs its folder, as in '{source}=DIR'")
    return FOLDER, place


def plain_folder(source: str | Path) -> Path | None:
    """Return the folder with images/ and masks/ that a source names; None for other data sets.

    Raises:
        UsageError: As for `open_dataset`.
    """
    if str(source) == "shapes":
        return None
    name, place = _layout_of(str(source))
    return place if name == FOLDER else None


def label_scheme(root: Path, classes: Sequence[str], ignore: Sequence[int]) -> LabelScheme | None:
    """Return the scheme that the options ask for; None leaves it to `dataset.yaml`.

    Raises:
        UsageError: A class word is malformed.
        DataError: `ignore` is given alone, and `dataset.yaml` cannot be read.
    """
    if classes:
        return LabelScheme.from_words(classes, ignore)
    if ignore:
        scheme = read_scheme(root / "dataset.yaml")
        return LabelScheme.parse(scheme.model_dump() | {"ignore": tuple(ignore)}, f"{root}, ignore")
    return None
