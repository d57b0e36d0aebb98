"""A table of figures as a page shows it."""

from collections.abc import Iterable, Sequence

from atrous.page.layout import wide
from atrous.page.markup import Markup, join, tag


def figures(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> Markup:
    """Return a table of figures, the first column being what each row is about.

    Example:
        >>> figures(["rate", "share"], [["6", "77 %"]]).count("<td>")
        1
    """
    titles = tag("tr", *(tag("th", title, scope="col") for title in head))
    lines = (
        tag("tr", tag("th", name, scope="row"), *(tag("td", value) for value in values))
        for name, *values in rows
    )
    body = tag("tbody", join(lines, "\n"))
    return wide(tag("table", tag("thead", titles), body, class_=f"figures {kind}".rstrip()))
