"""The run directory: where a training keeps its recipe, numbers, checkpoints and best weights."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from atrous.errors import DataError, UsageError
from atrous.files import write_text
from atrous.recipe import Recipe, load_recipe

RECIPE = "recipe.yaml"
CHECKPOINTS = "checkpoints"
PREVIEWS = "preview"
BEST = "best.safetensors"


def refuse_existing_run(folder: Path) -> None:
    """Make sure that no run with a checkpoint lies in `folder`.

    Raises:
        UsageError: One does.
    """
    if any((folder / CHECKPOINTS).glob("step-*")):
        raise UsageError(f"{folder}: holds a run already; add --resume, or choose another --out")


def keep_recipe(folder: Path, recipe: Recipe) -> None:
    """Make the run directory, with the resolved recipe in it."""
    write_text(folder / RECIPE, recipe.to_yaml())


def resume_run(folder: Path, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of the run in `folder`, with single values changed.

    Raises:
        DataError: No run was started there.
        RecipeError: A setting is none, or a value is out of range.
    """
    if not (folder / RECIPE).is_file():
        raise DataError(f"{folder}: no run to resume (no {RECIPE}); start without --resume")
    return load_recipe(folder / RECIPE, settings)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed training was writing; whoever calls it holds the run's lock."""
    for path in list(folder.rglob(".tmp-*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def unused_folder(parent: Path, name: str) -> Path:
    """Return `parent/name`, or the first of `parent/name-2`, `-3`, … that does not exist."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder
