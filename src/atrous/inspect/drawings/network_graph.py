"""A network as boxes and arrows: backbone, branches side by side, what joins them, classifier."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from atrous.page.markup import Markup, tag

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 128, 44, 34, 12  # of a box, and the gaps between boxes
_LONGEST = 20  # letters that fit into a box


class Box(NamedTuple):
    """One part of a network.

    Attributes:
        name: What it is.
        note: What is said of it below, such as its channels.
        reads: Only of a branch: which branch it reads, counted from 1; 0 is the part before.
    """

    name: str
    note: str = ""
    reads: int = 0


class Graph(NamedTuple):
    """A network whose middle is a pyramid.

    Attributes:
        before: What comes before the branches, one behind the other.
        branches: The branches, from top to bottom.
        after: What comes behind them; the first joins them.
        skip: Positions in `before` and `after` between which an early map is handed on, if any.
    """

    before: Sequence[Box]
    branches: Sequence[Box]
    after: Sequence[Box]
    skip: tuple[int, int] | None = None


class _Place(NamedTuple):
    x: float
    y: float

    @property
    def middle(self) -> float:
        return self.y + _HEIGHT / 2


def network_graph(graph: Graph) -> Markup:
    """Draw a network from left to right.

    Example:
        >>> drawing = network_graph(Graph([Box("backbone")], [Box("1x1")], [Box("concat")]))
        >>> drawing.count("<rect"), drawing.count('class="arrow"')
        (3, 2)
    """
    rows = max(1, len(graph.branches))
    height = rows * (_HEIGHT + _DOWN) - _DOWN
    columns = len(graph.before) + bool(graph.branches) + len(graph.after)
    middle = (height - _HEIGHT) / 2
    before = [_Place(_x(number), middle) for number in range(len(graph.before))]
    fan = [_Place(_x(len(before)), k * (_HEIGHT + _DOWN)) for k in range(len(graph.branches))]
    first = len(before) + bool(fan)
    after = [_Place(_x(first + number), middle) for number in range(len(graph.after))]
    chain = (*pairwise(before), *pairwise(after))
    boxes = (*graph.before, *graph.branches, *graph.after)
    room = 40 if graph.skip else 0
    return tag(
        "svg",
        *(_arrow(start, end) for start, end in chain),
        *_fan(graph.branches, before, fan, after),
        *_skip(graph.skip, before, after, height),
        *(_box(box, place) for box, place in zip(boxes, (*before, *fan, *after), strict=True)),
        viewBox=f"-2 -2 {_x(columns) - _ACROSS + 4} {height + room + 4}",
        role="img",
        aria_label=", ".join(box.name for box in boxes),
        class_="graph",
    )


def _x(column: int) -> float:
    return column * (_WIDTH + _ACROSS)


def _fan(
    branches: Sequence[Box],
    before: Sequence[_Place],
    fan: Sequence[_Place],
    after: Sequence[_Place],
) -> Iterator[Markup]:
    """Yield the arrows into each branch and out of it."""
    for branch, place in zip(branches, fan, strict=True):
        if branch.reads == 0 and before:
            yield _arrow(before[-1], place)
        elif branch.reads:
            yield _beside(fan[branch.reads - 1], place)
        if after:
            yield _arrow(place, after[0])


def _skip(
    skip: tuple[int, int] | None,
    before: Sequence[_Place],
    after: Sequence[_Place],
    height: float,
) -> Iterator[Markup]:
    if skip is None:
        return
    start, end = before[skip[0]], after[skip[1]]
    x1, x2, bottom = start.x + _WIDTH / 2, end.x + _WIDTH / 2, height + 28
    path = f"M{x1:g} {start.y + _HEIGHT:g}V{bottom:g}H{x2:g}V{end.y + _HEIGHT + 7:g}"
    yield tag("path", d=path, class_="arrow")
    yield _head(x2, end.y + _HEIGHT, "up")
    yield tag("text", "early map", x=(x1 + x2) / 2, y=bottom - 6, class_="x")


def _arrow(start: _Place, end: _Place) -> Markup:
    """Draw a curve from the right of a box to the left of another, with a head."""
    x1, x2 = start.x + _WIDTH, end.x
    half = (x1 + x2) / 2
    path = f"M{x1:g} {start.middle:g}C{half:g} {start.middle:g} {half:g} {end.middle:g} "
    line = tag("path", d=f"{path}{x2 - 6:g} {end.middle:g}", class_="arrow")
    return Markup(line + _head(x2, end.middle, "right"))


def _beside(start: _Place, end: _Place) -> Markup:
    """Draw a line from one branch down to another: straight to the next, around those between."""
    x = start.x + _WIDTH / 2
    if end.y - start.y <= _HEIGHT + _DOWN:
        line = tag("path", d=f"M{x:g} {start.y + _HEIGHT:g}V{end.y - 6:g}", class_="arrow")
        return Markup(line + _head(x, end.y, "down"))
    left = start.x - 14
    path = f"M{start.x:g} {start.middle + 8:g}H{left:g}V{end.middle - 8:g}H{end.x - 6:g}"
    return Markup(tag("path", d=path, class_="arrow") + _head(end.x, end.middle - 8, "right"))


def _head(x: float, y: float, way: str) -> Markup:
    """Draw the head of an arrow with its point at (x, y)."""
    corners = {
        "right": f"{x:g},{y:g} {x - 7:g},{y - 4:g} {x - 7:g},{y + 4:g}",
        "down": f"{x:g},{y:g} {x - 4:g},{y - 7:g} {x + 4:g},{y - 7:g}",
        "up": f"{x:g},{y:g} {x - 4:g},{y + 7:g} {x + 4:g},{y + 7:g}",
    }
    return tag("polygon", points=corners[way], class_="head")


def _box(box: Box, place: _Place) -> Markup:
    center = place.x + _WIDTH / 2
    name_y = place.middle + (4 if not box.note else -3)
    return tag(
        "g",
        tag("title", f"{box.name}: {box.note}" if box.note else box.name),
        tag("rect", x=place.x, y=place.y, width=_WIDTH, height=_HEIGHT, rx=6),
        tag("text", _short(box.name), x=center, y=name_y, class_="x name"),
        tag("text", _short(box.note), x=center, y=place.middle + 13, class_="x"),
        class_="box",
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
