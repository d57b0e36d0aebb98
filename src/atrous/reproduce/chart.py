"""A study as one SVG: published scores on the left, measured ones on the right.

Scores on other data lie elsewhere, so each side has an axis of its own; but a point of mIoU is
equally long on both, so that the distances between the variants can be compared by eye.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from atrous.page.markup import Markup, tag
from atrous.reproduce.scores import Line
from atrous.reproduce.study import Study

# px
_WIDTH, _NAMES, _ROW, _TOP, _BOTTOM = 760, 150, 38, 104, 44
_STYLE = Markup("""
  svg { --paper: #fff; --ink: #1c2330; --faint: #5c6675; --line: #dfe3e9; --c: #2563c9; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #12151a; --ink: #e5e9ef; --faint: #9aa5b4; --line: #2d333d; --c: #74a9ff; }
  }
  .paper { fill: var(--paper); }
  text { fill: var(--faint); font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
  text.title { fill: var(--ink); font-size: 15px; font-weight: 600; }
  text.name, text.side { fill: var(--ink); font-size: 13px; }
  text.side { font-weight: 600; }
  .tick { text-anchor: middle; }
  .grid { stroke: var(--line); }
  .spread { stroke: var(--c); stroke-width: 2; }
  .mean { fill: var(--c); }
  .published { fill: var(--ink); }
  .seed { fill: none; stroke: var(--c); }
""")


class _Axis(NamedTuple):
    """Scores from `low` over `span` points, between two places on the page."""

    low: float
    span: float
    left: float
    right: float

    def x(self, score: float) -> float:
        return round(self.left + (score - self.low) / self.span * (self.right - self.left), 1)


def draw(study: Study, table: Sequence[Line], *, measured_on: str) -> Markup:
    """Return the SVG of a table, in the colours of the page: light or dark.

    Args:
        study: The table.
        table: Its lines; one without a score has an empty right side.
        measured_on: Data, network and budget of the measured scores.

    Returns:
        An SVG document, complete in itself.
    """
    published = [line.variant.published for line in table]
    measured = [end for line in table for end in _ends(line)]
    # Not below one point, so that noise does not fill the page.
    span = 1.25 * max(_range(published), _range(measured), 1.0)
    left = _axis(published, span, _NAMES + 16, _NAMES + 16 + 270)
    right = _axis(measured, span, _NAMES + 326, _NAMES + 326 + 270)
    bottom = _TOP + _ROW * len(table)
    return tag(
        "svg",
        tag("style", _STYLE),
        tag("rect", class_="paper", width=_WIDTH, height=bottom + _BOTTOM),
        tag("text", f"{study.name}: {study.varies}", x=16, y=26, class_="title"),
        tag("text", f"published: {study.source}, {study.published_on}", x=16, y=46),
        tag("text", f"measured: {measured_on}; mean ± deviation, each seed", x=16, y=63),
        *_frame(left, "published, mIoU %", bottom),
        *_frame(right, "measured, mIoU %", bottom),
        *(mark for n, line in enumerate(table) for mark in _marks(line, left, right, _middle(n))),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {bottom + _BOTTOM}",
        role="img",
        aria_label=study.name,
    )


def _middle(number: int) -> float:
    return _TOP + _ROW * (number + 0.5)


def _ends(line: Line) -> list[float]:
    """Return the scores of a line, and the ends of its error bar."""
    scores = [score for score in line.scores.values() if math.isfinite(score)]
    if math.isfinite(line.deviation):
        scores += [line.mean - line.deviation, line.mean + line.deviation]
    return scores


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values) if values else 0.0


def _axis(values: Sequence[float], span: float, left: float, right: float) -> _Axis:
    """Return an axis with the values in its middle."""
    middle = (max(values) + min(values)) / 2 if values else span / 2
    return _Axis(middle - span / 2, span, left, right)


def _ticks(axis: _Axis) -> list[float]:
    """Return round values on an axis, three to seven of them."""
    power = 10.0 ** math.floor(math.log10(axis.span / 4))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= axis.span / 3)
    first, last = math.ceil(axis.low / step), math.floor((axis.low + axis.span) / step)
    return [number * step for number in range(first, last + 1)]


def _frame(axis: _Axis, title: str, bottom: float) -> Iterator[Markup]:
    yield tag("text", title, x=axis.left, y=_TOP - 14, class_="side")
    for value in _ticks(axis):
        x = axis.x(value)
        yield tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid")
        yield tag("text", f"{value:.6g}", x=x, y=bottom + 18, class_="tick")


def _marks(line: Line, left: _Axis, right: _Axis, y: float) -> Iterator[Markup]:
    name, published = line.variant.name, line.variant.published
    yield tag("text", name, x=16, y=y + 4, class_="name")
    yield _dot(left.x(published), y, 5, kind="published", title=f"{name}: {published:.2f}")
    for seed, score in sorted(line.scores.items()):
        if math.isfinite(score):
            yield _dot(right.x(score), y, 3, kind="seed", title=f"{name}, seed {seed}: {score:.2f}")
    if math.isfinite(line.deviation):
        low, high = (right.x(line.mean + sign * line.deviation) for sign in (-1, 1))
        yield tag("line", x1=low, x2=high, y1=y, y2=y, class_="spread")
    if math.isfinite(line.mean):
        yield _dot(right.x(line.mean), y, 5, kind="mean", title=f"{name}: mean {line.mean:.2f}")


def _dot(x: float, y: float, radius: float, *, kind: str, title: str) -> Markup:
    return tag("circle", tag("title", title), cx=x, cy=y, r=radius, class_=kind)
