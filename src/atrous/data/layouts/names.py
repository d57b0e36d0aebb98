"""The names of the layouts, and which of them a folder has."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from atrous.data.folder import FolderDataset
from atrous.data.layouts import (
    ade20k,
    camvid,
    cityscapes,
    coco_json,
    cocostuff,
    cvat,
    cvat_masks,
    hugging_face,
    labelme,
    pascal_context,
    voc,
)
from atrous.data.layouts.entries import LayoutDataset
from atrous.errors import UsageError

FOLDER = "folder"
HUGGING_FACE = "hf"


class Layout(NamedTuple):
    """How a data set lies on disk.

    Attributes:
        open_split: Opens one split of a folder.
        recognize: Whether a folder has this layout; None where only the name can tell.
    """

    open_split: Callable[[Path, str], LayoutDataset[Any] | FolderDataset]
    recognize: Callable[[Path], bool] | None


LAYOUTS = {
    "voc": Layout(voc.open_split, voc.recognize),
    "cityscapes": Layout(cityscapes.open_split, cityscapes.recognize),
    "ade20k": Layout(ade20k.open_split, ade20k.recognize),
    "coco-stuff": Layout(cocostuff.open_split, cocostuff.recognize),
    "pascal-context": Layout(pascal_context.open_split, pascal_context.recognize),
    "pascal-context-59": Layout(pascal_context.open_split_of_59, None),
    "camvid": Layout(camvid.open_split, camvid.recognize),
    "coco-json": Layout(coco_json.open_split, coco_json.recognize),
    "labelme": Layout(labelme.open_split, labelme.recognize),
    "cvat": Layout(cvat.open_split, cvat.recognize),
    "cvat-masks": Layout(cvat_masks.open_split, cvat_masks.recognize),
}


def check_name(name: str) -> None:
    """Check that a layout has this name.

    Raises:
        UsageError: None has; it names the nearest.
    """
    known = [*LAYOUTS, HUGGING_FACE, FOLDER]
    if name not in known:
        nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.0)[0]
        raise UsageError(
            f"no data set is called '{name}'; did you mean '{nearest}'? "
            f"(known: {', '.join(known)}, shapes)"
        )


def recognize(root: Path) -> str:
    """Return the name of the layout that a folder has; "folder" where it is none of the others.

    Raises:
        UsageError: The folder could be read in several ways.
    """
    if hugging_face.recognize(root):
        return HUGGING_FACE
    # Who writes a dataset.yaml into a folder says what it is.
    if (root / "dataset.yaml").is_file():
        return FOLDER
    found = [
        name for name, layout in LAYOUTS.items() if layout.recognize and layout.recognize(root)
    ]
    if len(found) > 1:
        raise UsageError(
            f"{root}: can be read as {' or '.join(found)}; say which, as in '{found[0]}={root}'"
        )
    return found[0] if found else FOLDER
