"""What all parts of the page share: sections, rows of figures, colours and percentages."""

import math

from atrous.data.palettes import Color
from atrous.page.markup import Markup, join, tag


def section(title: str, *parts: object) -> Markup:
    """Return a section, or nothing where it has no part."""
    kept = [part for part in parts if part]
    return tag("section", tag("h2", title), join(kept, "\n")) if kept else Markup()


def grid(*figures: Markup) -> Markup:
    """Return figures side by side, as many as fit, or nothing where there are none."""
    kept = [figure for figure in figures if figure]
    return tag("div", join(kept, "\n"), class_="grid") if kept else Markup()


def wide(part: Markup) -> Markup:
    """Return what scrolls sideways on its own where the page is narrow."""
    return tag("div", part, class_="wide")


def swatch(color: Color | None) -> Markup:
    """Return a small block of a class's colour."""
    if color is None:
        return Markup()
    return tag("i", class_="swatch", style=f"background:rgb({','.join(map(str, color))})")


def percent(fraction: float) -> str:
    """Write a fraction in percent; NaN is `n/a`."""
    return "n/a" if math.isnan(fraction) else f"{100 * fraction:.1f} %"
