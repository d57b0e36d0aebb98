"""A drawing of a page as a file of its own: an SVG that brings its style, for light and dark."""

from importlib import resources

from atrous.page.markup import Markup, tag

_SPACE = "http://www.w3.org/2000/svg"


def standalone(drawing: str) -> str:
    """Return an SVG document.

    Args:
        drawing: An `<svg>` with a `viewBox`, or a figure around one.

    Raises:
        ValueError: There is none in it.

    Example:
        >>> text = standalone('<svg viewBox="0 0 40 20"><rect class="ground"></rect></svg>')
        >>> text[:83]
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20">'
    """
    start, end = drawing.find("<svg "), drawing.rfind("</svg>")
    _, found, box = drawing[start:].partition('viewBox="')
    if min(start, end) < 0 or not found:
        raise ValueError("expected an <svg> with a viewBox; give a drawing of atrous.page")
    width, height = box.partition('"')[0].split()[2:]
    attributes, _, content = drawing[start + len("<svg ") : end].partition(">")
    head = f'<svg xmlns="{_SPACE}" width="{width}" height="{height}" {attributes}>'
    return f"{head}\n{tag('style', drawing_style())}\n{content}</svg>\n"


def drawing_style() -> Markup:
    """Return the style sheet that all drawings share, on pages and by themselves."""
    return Markup((resources.files("atrous.page") / "drawing.css").read_text(encoding="utf-8"))
