"""Writes `recipe-keys.md` from the sections of a recipe: `python docs/make_recipe_keys.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from atrous.recipe import Expected, Recipe, SecondStage, Section

_HEAD = """\
# Keys of a recipe

Every key that a [recipe](recipes.md) can have, from the code itself. `null` as a default means what
the last column says. On the command line, `--set train.epochs=5`.
"""
_NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_BOUNDS = {Gt: ("gt", "above"), Ge: ("ge", "from"), Le: ("le", "to"), Lt: ("lt", "below")}


def page() -> str:
    """Return the whole page."""
    parts = {name: field.annotation for name, field in Recipe.model_fields.items()}
    sections = {name: kind for name, kind in parts.items() if _is_section(kind)}
    tables = [table("The recipe itself", Recipe, without=set(sections))]
    tables += [table(f"`{name}`", kind) for name, kind in sections.items()]
    tables.append(table("`train.second_stage`", SecondStage))
    tables.append(table("A row of `expected`", Expected))
    return "\n".join([_HEAD, *tables])


def table(title: str, section: type[Section], without: set[str] = frozenset()) -> str:
    """Return a heading, what the section is for, and a row for each key."""
    rows = (row(n, field) for n, field in section.model_fields.items() if n not in without)
    purpose = (section.__doc__ or "").splitlines()[0]
    head = "| key | type | default | meaning |\n|---|---|---|---|"
    return "\n".join([f"## {title}\n", f"{purpose}\n", head, *rows, ""])


def row(name: str, field: FieldInfo) -> str:
    """Return one key as a row of a table."""
    meaning = " ".join((field.description or "").split())
    kind = words(field.annotation, tuple(field.metadata))
    return f"| `{name}` | {kind} | {_default(field)} | {meaning} |".replace("|  |", "| |")


def words(kind: Any, bounds: tuple[Any, ...] = ()) -> str:
    """Return a type in words, with the range of its values."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return words(parts[0], (*bounds, *parts[1:]))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in parts)
    if origin in (Union, UnionType):
        return " or ".join("null" if part is NoneType else words(part, bounds) for part in parts)
    if origin is tuple:
        inner = words(parts[0])
        return f"list of: {inner}" if parts[-1] is Ellipsis else f"two of: {inner}"
    if _is_section(kind):
        return "section, below"
    return " ".join([_NAMES[kind], *_ranges(bounds)])


def _ranges(bounds: tuple[Any, ...]) -> Iterator[str]:
    for bound in _flat(bounds):
        if isinstance(bound, MinLen):
            yield "that is not empty"
        for kind, (attribute, word) in _BOUNDS.items():
            if isinstance(bound, kind):
                yield f"{word} {getattr(bound, attribute):g}"


def _flat(bounds: tuple[Any, ...]) -> Iterator[Any]:
    """Yield single bounds; a `Field(ge=0, le=1)` holds several."""
    for bound in bounds:
        yield from bound.metadata if isinstance(bound, FieldInfo) else (bound,)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "to be given"
    return f"`{json.dumps(field.default)}`" if field.default != () else "`[]`"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


if __name__ == "__main__":
    Path(__file__).with_name("recipe-keys.md").write_text(page(), encoding="utf-8")
