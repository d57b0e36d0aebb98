"""A `dataset.yaml` for masks that came without one, from the values that are in them."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import yaml

from atrous.data.doctor.survey import MaskFacts, Survey
from atrous.data.labels import ClassEntry, LabelScheme
from atrous.data.palettes import Color

_BINARY = {"background": 0, "foreground": 255}
_VOID = 255  # what most data sets write for "not labelled"
_MOST_CLASSES = 254
_FEW_STRAYS = 0.05  # share of pixels; a smoothed mask of 0 and 255 has fewer in between
_MANY_VALUES = 16
_MOST_MASKS = 20  # whose palettes are looked at
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def propose_scheme(survey: Survey) -> LabelScheme | None:
    """Return a scheme that fits the masks; None where they do not tell.

    Masks of 0 and 255 become background and foreground. Other numbers become "class 0", "class 1",
    ... with the colours of the palette where the masks have one, and 255 is ignored. Colours
    become one class each. Names are for a person to change.
    """
    good = [mask for mask in survey.masks.values() if not mask.fault and not mask.lossy]
    forms = Counter(mask.form for mask in good)
    if not forms:
        return None
    form = forms.most_common(1)[0][0]
    alike = [mask for mask in good if mask.form == form]
    totals = _totals(alike)
    values, ignored = sorted(totals), ()
    if form == "colour":
        classes = _of_colors(values)
    elif _is_nearly_binary(totals):
        classes = [ClassEntry(name=name, value=value) for name, value in _BINARY.items()]
    else:
        ignored = (_VOID,) if _VOID in values and len(values) > 2 else ()
        classes = _of_values([v for v in values if v not in ignored], _shared_palette(alike))
    if not 2 <= len(classes) <= _MOST_CLASSES:
        return None
    return LabelScheme(classes=tuple(classes), ignore=ignored)


def scheme_yaml(scheme: LabelScheme) -> str:
    """Return the text of a `dataset.yaml` that holds a scheme.

    Example:
        >>> print(scheme_yaml(LabelScheme.from_words(["road", "sky=7#4682b4"], [255])), end="")
        classes:
          - {name: road, value: 0}
          - {name: sky, value: 7, color: [70, 130, 180]}
        ignore: [255]
    """
    lines = [f"name: {_inline(scheme.name)}"] if scheme.name else []
    lines += ["classes:"]
    for entry in scheme.classes:
        lines.append(f"  - {_inline(entry.model_dump(mode='json', exclude_none=True))}")
    lines += [f"ignore: {list(scheme.ignore)}"] if scheme.ignore else []
    return "\n".join([*lines, ""])


def png_palette(path: Path) -> list[Color]:
    """Return the colours of a palette PNG, by their numbers; nothing for any other file.

    Args:
        path: A file that could be read as a mask.
    """
    with path.open("rb") as file:
        if file.read(8) != _PNG_HEAD:
            return []
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            content = file.read(int.from_bytes(head[:4], "big") + 4)  # with its checksum
            if head[4:] == b"PLTE":
                channels = iter(content[:-4])
                return list(zip(channels, channels, channels, strict=False))
    return []


def _totals(masks: Iterable[MaskFacts]) -> Counter[int]:
    totals: Counter[int] = Counter()
    for mask in masks:
        totals.update(dict(zip(mask.values.tolist(), mask.counts.tolist(), strict=True)))
    return totals


def _is_nearly_binary(totals: Counter[int]) -> bool:
    """Tell masks of 0 and 255, those too whose edges were smoothed."""
    if not {0, 255} <= totals.keys() or max(totals) > 255:
        return False
    strays = 1 - (totals[0] + totals[255]) / totals.total()
    return len(totals) == 2 or (len(totals) > _MANY_VALUES and strays < _FEW_STRAYS)


def _of_values(values: list[int], palette: list[Color]) -> list[ClassEntry]:
    """Return one class for each value, with its colour if the palette has another for each."""
    colors = [palette[value] for value in values if value < len(palette)]
    given = colors if len(set(colors)) == len(values) else [None] * len(values)
    return [
        ClassEntry(name=f"class {value}", value=value, color=color)
        for value, color in zip(values, given, strict=True)
    ]


def _of_colors(values: list[int]) -> list[ClassEntry]:
    """Return one class for each colour, numbered in the order of the colours."""
    names = (
        _BINARY if values == [0x000000, 0xFFFFFF] else [f"class {i}" for i in range(len(values))]
    )
    return [
        ClassEntry(name=name, value=number, color=(v >> 16, v >> 8 & 255, v & 255))
        for number, (name, v) in enumerate(zip(names, values, strict=True))
    ]


def _shared_palette(masks: Iterable[MaskFacts]) -> list[Color]:
    """Return the palette of the masks if the first ones agree on one, and it is not all grey."""
    palettes = [png_palette(mask.path) for mask in islice(masks, _MOST_MASKS)]
    longest = max(palettes, key=len, default=[])
    agree = all(palette and palette == longest[: len(palette)] for palette in palettes)
    is_grey = np.ptp(np.array(longest or [(0, 0, 0)]), axis=1).max() == 0
    return longest if agree and not is_grey else []


def _inline(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
