"""A whole page: complete in itself, without a script, readable in light and dark."""

from collections.abc import Iterable
from importlib import resources
from string import Template

from atrous.page.markup import join, tag
from atrous.page.standalone import drawing_style

# Whatever a class or a file may be called, the browser is told to run and to fetch nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PAGE = Template(f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
$title
<style>
$style</style>
</head>
<body>
$body
</body>
</html>
""")


def document(title: str, parts: Iterable[object]) -> str:
    """Return a page of several parts, empty ones left out.

    Example:
        >>> from atrous.page.layout import section
        >>> "<h2>Files</h2>" in document("A run", [section("Files", tag("p", "none"))])
        True
    """
    style = resources.files("atrous.page") / "style.css"
    sheets = drawing_style() + style.read_text(encoding="utf-8")
    return _PAGE.substitute(
        title=tag("title", title),
        style=sheets,
        body=join(filter(None, parts), "\n"),
    )
