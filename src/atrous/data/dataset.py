"""What a data set is, and how one is opened by its name or folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from atrous.data.folder import FolderDataset, read_scheme
from atrous.data.labels import LabelScheme
from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.data.shapes import DEFAULT_SIZE, ShapesDataset
from atrous.errors import UsageError

__all__ = ["Dataset", "Sample", "open_dataset"]


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
        source: "shapes", the built-in data set drawn on the fly, or a folder.
        split: Name of the split; "train", "val" or "test" for shapes.
        classes: What the mask values mean, as words "NAME", "NAME=VALUE" or
            "NAME=VALUE#RRGGBB", for a folder without `dataset.yaml`. Beside one, they and
            `ignore` take its place.
        ignore: Mask values that belong to no class. Given alone, they replace those in
            `dataset.yaml`.
        size: (height, width) of the pictures in pixels, for shapes only.

    Raises:
        DataError: The folder is not a data set, see `FolderDataset`.
        UsageError: An option does not fit the source, or a class word is malformed.

    Example:
        >>> open_dataset("shapes", "val", size=(48, 64))[0].image.shape
        (48, 64, 3)
    """
    if str(source) == "shapes":
        if classes or ignore:
            raise UsageError("shapes brings its own classes; leave out classes and ignore")
        return ShapesDataset(split, size=size or DEFAULT_SIZE)
    if size is not None:
        raise UsageError(f"{source}: size is for shapes only; pictures in files have their own")
    return FolderDataset(source, split, scheme=_scheme(Path(source), classes, ignore))


def _scheme(root: Path, classes: Sequence[str], ignore: Sequence[int]) -> LabelScheme | None:
    """Return the scheme that the options ask for; None leaves it to `dataset.yaml`."""
    if classes:
        return LabelScheme.from_words(classes, ignore)
    if ignore:
        scheme = read_scheme(root / "dataset.yaml")
        return LabelScheme.parse(scheme.model_dump() | {"ignore": tuple(ignore)}, f"{root}, ignore")
    return None
