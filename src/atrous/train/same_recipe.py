"""A resumed run keeps its recipe: what decides the weights cannot be changed on the way."""

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import torch
from pydantic import ValidationError

import atrous
from atrous.errors import DataError, RecipeError, explain
from atrous.recipe import Recipe
from atrous.train.precision import fabric_precision

# What may differ: the weights after a step are the same. All other keys decide them. Where the data
# lies may change, as its files are compared themselves.
HARMLESS = {
    "name",
    "license",
    "expected",
    "data.source",
    "data.check",
    "data.workers",
    "data.worker_timeout",
    "train.device",
    "train.validate_every",
    "train.checkpoint_every",
    "train.checkpoint_minutes",
    "train.keep_checkpoints",
    "train.previews",
    "train.weights_dtype",
}
_UNSET = "not set"
_PACKAGES = ("numpy", "pillow", "timm")  # that pixels and weights go through


def refuse_other_recipe(before: Mapping[str, Any], now: Recipe, *, where: str) -> None:
    """Make sure that a recipe goes on where another one stopped.

    Args:
        before: The recipe of the checkpoint, as `Recipe.model_dump(mode="json")` gives it.
        now: The recipe to go on with.
        where: What to begin a message with.

    Raises:
        RecipeError: A key that decides the weights has another value; all such are named.
        DataError: `before` is no recipe of this version of atrous.
    """
    try:
        was = dict(_flat(Recipe.model_validate(before).model_dump(mode="json")))
    except ValidationError as error:
        raise DataError(
            f"{where}: the checkpoint's recipe is of another version of atrous ({explain(error)}); "
            "resume with that version"
        ) from error
    is_now = dict(_flat(now.model_dump(mode="json")))
    # With patience, the validations decide when the run ends.
    harmless = HARMLESS - ({"train.validate_every"} if was["train.patience"] else set())
    changes = [
        f"{key} was {was.get(key, _UNSET)} and is now {is_now.get(key, _UNSET)}"
        for key in {**was, **is_now}
        if key not in harmless and was.get(key, _UNSET) != is_now.get(key, _UNSET)
    ]
    if changes:
        raise RecipeError(
            f"{where}: {'; '.join(changes)}; a resumed run keeps what decides its weights: set it "
            "back, or start another run with another --out"
        )


def surroundings(device: torch.device, precision: str) -> dict[str, str]:
    """Return what bits depend on beside the recipe.

    Args:
        device: Where the network is trained.
        precision: That of the recipe; `auto` is resolved here.
    """
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "atrous": atrous.__version__,
        "torch": torch.__version__,
        **{package: version(package) for package in _PACKAGES},
        "precision": fabric_precision(precision, device),
        "threads": str(torch.get_num_threads()),
        "processes": os.environ.get("WORLD_SIZE", "1"),
        "processor": f"{device.type} {processor}",
    }


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which surroundings changed in one line, or nothing."""
    return ", ".join(
        f"{name} was {before.get(name, 'unknown')} and is now {value}"
        for name, value in now.items()
        if before.get(name) != value
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (section.key, value)."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
