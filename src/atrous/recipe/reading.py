"""From YAML and `--set` to a recipe; a key that is not known is refused, with the nearest one."""

import difflib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from atrous.errors import RecipeError, explain
from atrous.recipe.sections import Recipe


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with atrous."""
    return sorted(file.name.removesuffix(".yaml") for file in _shipped() if _is_recipe(file.name))


def recipe_text(name: str) -> str:
    """Return a recipe that comes with atrous as it is written, with its comments.

    Raises:
        RecipeError: There is none of this name.
    """
    for file in _shipped():
        if file.name == f"{name}.yaml":
            return file.read_text(encoding="utf-8")
    near = difflib.get_close_matches(name, recipe_names(), n=1) or recipe_names()
    raise RecipeError(f"recipe {name!r} is no file and no name; use {' or '.join(near)}")


def load_recipe(source: str | Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe, by its name or from its file, and change single values.

    Args:
        source: A name that `recipe_names` lists, or a YAML file.
        settings: Changes such as `train.max_steps=60`; the value is YAML.

    Raises:
        RecipeError: No such recipe, unknown key, or a value out of range.
    """
    label, text = _find(source)
    values = _parse(label, text)
    for setting in settings:
        _set(values, setting)
    return _validate(label, values)


def _shipped() -> Iterable[Any]:
    return (resources.files("atrous") / "recipes").iterdir()


def _is_recipe(name: str) -> bool:
    return name.endswith(".yaml")


def _find(source: str | Path) -> tuple[str, str]:
    """Return what to call the recipe in messages, and its text."""
    path = Path(source)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        try:
            return str(path), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: cannot be read as a recipe ({error})") from error
    return f"recipe {source}", recipe_text(str(source))


def _parse(label: str, text: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{label}: not YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RecipeError(f"{label}: expected sections such as model: and train:, got {values!r}")
    return values


def _set(values: dict[str, Any], setting: str) -> None:
    """Carry one `section.key=value` into `values`."""
    where, equals, text = setting.partition("=")
    section, dot, key = where.strip().partition(".")
    if not equals or (not dot and section not in Recipe.model_fields):
        raise RecipeError(f"--set {setting}: expected section.key=value, as in train.max_steps=60")
    value = _parse(f"--set {setting}", f"value: {text}")["value"]
    if not dot:
        values[section] = value
        return
    target = values.setdefault(section, {})
    if not isinstance(target, dict):
        raise RecipeError(f"--set {setting}: {section} has no keys; set it as a whole")
    if key == "max_steps":
        target.pop("epochs", None)  # a recipe has one length: the last that was said
    elif key == "epochs":
        target.pop("max_steps", None)
    target[key] = value


def _validate(label: str, values: Mapping[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise RecipeError(f"{label}: {_unknown_key(first['loc'])}") from error
        raise RecipeError(f"{label}: {explain(error)}") from error


def _unknown_key(location: tuple[int | str, ...]) -> str:
    *sections, key = map(str, location)
    known = _known_keys([section for section in sections if not section.isdigit()])
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {'.'.join([*sections, near[0]])}?" if near else f"use {', '.join(known)}"
    return f"unknown key {'.'.join([*sections, key])}; {hint}"


def _known_keys(sections: list[str]) -> list[str]:
    level: Any = Recipe
    for section in sections:
        kind = level.model_fields[section].annotation
        level = next(
            iter(get_args(kind)), kind
        )  # of `SecondStage | None` and `tuple[Expected, ...]`, the first
    return list(level.model_fields)
