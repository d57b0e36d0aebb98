"""HTML and SVG that cannot be broken out of: all text is escaped unless it was made here."""

from collections.abc import Iterable
from html import escape

_VOID = {"img"}  # elements without an end


class Markup(str):
    """Text that is HTML already; everything else is escaped where it enters a page."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: Of the element.
        children: Markup goes in as it is, None not at all, anything else as escaped text.
        attributes: `class_` and the like lose their last underscore, other underscores become
            hyphens; an attribute that is None is left out.

    Example:
        >>> tag("p", "1 < 2 ", tag("b", "so"), class_="note")
        '<p class="note">1 &lt; 2 <b>so</b></p>'
    """
    pairs = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    words = [name, *(f'{key}="{_text(v)}"' for key, v in pairs.items() if v is not None)]
    start = f"<{' '.join(words)}>"
    return Markup(start if name in _VOID else f"{start}{join(children)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Return parts one after the other, each escaped unless it is markup; None is nothing."""
    kept = (part for part in parts if part is not None)
    return Markup(between.join(p if isinstance(p, Markup) else _text(p) for p in kept))


def _text(value: object) -> str:
    """Escape a text; names of files may hold bytes that are no UTF-8, which become `?`."""
    return escape(str(value).encode("utf-8", "replace").decode("utf-8"))
