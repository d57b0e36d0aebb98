"""What the values of a mask mean: the classes, their colours, and the values to ignore.

Inside atrous, labels are class numbers 0, 1, ... in the order of the classes, and 255 where a
pixel is to be ignored, whatever values the masks of a data set use.
"""

import difflib
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atrous.data.palettes import Color, default_palette
from atrous.errors import DataError, UsageError, explain

IGNORE_INDEX = 255
_UNKNOWN = 254  # stands, while encoding, for values that the scheme does not list

_COLOR_DIGITS = np.array([1 << 16, 1 << 8, 1], dtype=np.int32)  # (R, G, B) to 0xRRGGBB

_Byte = Annotated[int, Field(strict=True, ge=0, le=255)]
_GreyLevel = Annotated[int, Field(strict=True, ge=0, le=0xFFFF)]
_GreyOrColor = Annotated[int, Field(strict=True, ge=0, le=0xFFFFFF)]
_CLASS_WORD = re.compile(r"(?P<name>[^=#]+)(=(?P<value>\d+))?(#(?P<color>[0-9a-fA-F]{6}))?")


class ClassEntry(BaseModel):
    """One class: its name, its value in grey and palette masks, its colour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    value: _GreyLevel
    color: tuple[_Byte, _Byte, _Byte] | None = None


class LabelScheme(BaseModel):
    """The classes of a data set, and the mask values that belong to none.

    Grey and palette masks are read by `value`. Colour masks are read by `color`, which then every
    class needs; black pixels are ignored in them unless a class is black, and further colours to
    ignore are written as numbers, 0xRRGGBB.

    Attributes:
        name: Of the data set, for people.
        classes: At most 254; their order gives the labels 0, 1, ...
        ignore: Mask values that become 255.

    Example:
        >>> road = ClassEntry(name="road", value=7)
        >>> sky = ClassEntry(name="sky", value=23)
        >>> scheme = LabelScheme(classes=(road, sky), ignore=(0,))
        >>> scheme.encode(np.array([[0, 7, 23]], dtype=np.uint8), "a.png")
        array([[255,   0,   1]], dtype=uint8)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    classes: tuple[ClassEntry, ...] = Field(min_length=2, max_length=_UNKNOWN)
    ignore: tuple[_GreyOrColor, ...] = ()

    @classmethod
    def parse(cls, document: object, file: str) -> Self:
        """Build a scheme from what a YAML file holds.

        Raises:
            DataError: A key is unknown (the nearest known one is named) or a value is wrong.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise DataError(f"{file}: {_first_fault(error)}") from None

    @classmethod
    def from_words(cls, classes: Sequence[str], ignore: Sequence[int] = ()) -> Self:
        """Build a scheme from words such as "road", "road=7" or "road=7#804080".

        A value that is not given is the position of the word, a colour is optional.

        Raises:
            UsageError: A word reads otherwise, or the classes contradict each other.

        Example:
            >>> LabelScheme.from_words(["sky", "road=7"]).classes[1].value
            7
        """
        entries = tuple(_entry(word, position) for position, word in enumerate(classes))
        try:
            return cls(classes=entries, ignore=tuple(ignore))
        except ValidationError as error:
            raise UsageError(f"classes: {_first_fault(error)}") from None

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        _refuse_repeats("class name", self.names)
        _refuse_repeats("mask value", [entry.value for entry in self.classes])
        _refuse_repeats("color", [entry.color for entry in self.classes if entry.color])
        for entry in self.classes:
            if entry.value in self.ignore:
                raise ValueError(f"value {entry.value} is both class '{entry.name}' and ignored")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        return tuple(entry.name for entry in self.classes)

    @property
    def palette(self) -> tuple[Color, ...]:
        """One colour per class: the one given, or else the next default one that is free."""
        given = {entry.color for entry in self.classes}
        free = (color for color in default_palette(256) if color not in given)
        return tuple(entry.color or next(free) for entry in self.classes)

    def encode(self, raw: np.ndarray, file: str, *, cure: str = "") -> np.ndarray:
        """Turn the values of a mask into labels.

        Args:
            raw: (H, W) uint8 or uint16 values, or (H, W, 3) uint8 colours.
            file: Name of the mask, for the error.
            cure: What the error advises; by default a line in `dataset.yaml`.

        Returns:
            (H, W) uint8, class numbers and 255 for ignored pixels.

        Raises:
            DataError: A value is neither a class nor ignored.
        """
        form = "d"
        if raw.ndim == 2:
            labels = np.frombuffer(self._label_of_value, dtype=np.uint8)[raw]
        else:
            self._check_colored(file)
            form, raw = "#08x", raw.astype(np.int32) @ _COLOR_DIGITS
            labels = _look_up(raw, self._label_of_color)
        if (unknown := labels == _UNKNOWN).any():
            raise DataError(f"{file}: {self._fault(raw[unknown], form, cure)}")
        return labels

    @cached_property
    def _label_of_value(self) -> bytes:
        """The label of each of the 65,536 grey levels; bytes, so that schemes can be compared."""
        table = np.full(0x10000, _UNKNOWN, dtype=np.uint8)
        table[[entry.value for entry in self.classes]] = np.arange(len(self.classes))
        table[[value for value in self.ignore if value <= 0xFFFF]] = IGNORE_INDEX
        return table.tobytes()

    @cached_property
    def _label_of_color(self) -> dict[int, int]:
        """The label of each colour, written 0xRRGGBB."""
        ignored = dict.fromkeys((0x000000, *self.ignore), IGNORE_INDEX)
        colors = (entry.color for entry in self.classes if entry.color)
        return ignored | {r << 16 | g << 8 | b: k for k, (r, g, b) in enumerate(colors)}

    def _fault(self, unknown: np.ndarray, form: str, cure: str) -> str:
        """Say which values are unknown, and how often, the three most frequent ones first."""
        values, counts = np.unique(unknown, return_counts=True)
        shown = [
            f"{values[i]:{form}} at {counts[i]} pixel{'s' if counts[i] > 1 else ''}"
            for i in np.argsort(-counts, kind="stable")[:3]
        ]
        more = f" and {len(values) - 3} more" if len(values) > 3 else ""
        noun, verb, them = ("values", "are", "them") if len(values) > 1 else ("value", "is", "it")
        cure = cure or f"list {them} under 'ignore' or 'classes' in dataset.yaml"
        values_named = f"{noun} {', '.join(shown)}{more}"
        return f"{values_named} {verb} outside the {len(self.classes)} classes; {cure}"

    def _check_colored(self, file: str) -> None:
        bare = [entry.name for entry in self.classes if entry.color is None]
        if bare:
            raise DataError(
                f"{file}: is a colour mask, but class '{bare[0]}' has no color; give every class "
                "its color in dataset.yaml, or save the mask with one value per pixel"
            )


def _look_up(raw: np.ndarray, table: dict[int, int]) -> np.ndarray:
    """Map numbers by a table; those not in it become _UNKNOWN."""
    keys = np.array(sorted(table), dtype=raw.dtype)
    labels = np.array([table[key] for key in keys.tolist()], dtype=np.uint8)
    place = np.minimum(np.searchsorted(keys, raw), len(keys) - 1)
    return np.where(keys[place] == raw, labels[place], np.uint8(_UNKNOWN))


def _entry(word: str, position: int) -> ClassEntry:
    match = _CLASS_WORD.fullmatch(word)
    if match is None:
        raise UsageError(f"class '{word}' must read NAME, NAME=VALUE or NAME=VALUE#RRGGBB")
    try:
        return ClassEntry(
            name=match["name"].strip(),
            value=int(match["value"] or position),
            color=_color(match["color"]) if match["color"] else None,
        )
    except ValidationError as error:
        raise UsageError(f"class '{word}': {_first_fault(error)}") from None


def _color(digits: str) -> Color:
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _refuse_repeats(what: str, items: Sequence[Any]) -> None:
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{what} {item} is used twice")


def _first_fault(error: ValidationError) -> str:
    """Tell the first thing that is wrong, and for an unknown key the one that may be meant."""
    # A key that is unknown is often a required one, misspelt: tell that first.
    fault = max(error.errors(), key=lambda fault: fault["type"] == "extra_forbidden")
    if fault["type"] == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    if fault["type"] != "extra_forbidden":
        return explain(error)
    *parents, key = fault["loc"]
    known = list((ClassEntry if parents else LabelScheme).model_fields)
    nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
    where = "".join(f" in {parent}" for parent in parents[:1])
    return f"unknown key '{key}'{where}; did you mean '{nearest}'? (known: {', '.join(known)})"
