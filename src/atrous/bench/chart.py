"""A comparison as one SVG: how many times as fast as the first way each one is."""

import math
from collections.abc import Iterator

from atrous.bench.comparison import Comparison, Row
from atrous.page.markup import Markup, tag

# px
_WIDTH, _NAMES, _RIGHT, _ROW, _TOP, _BOTTOM = 760, 250, 690, 30, 96, 44
_STYLE = Markup("""
  svg { --paper: #fff; --ink: #1c2330; --faint: #5c6675; --line: #dfe3e9; --c: #2563c9; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #12151a; --ink: #e5e9ef; --faint: #9aa5b4; --line: #2d333d; --c: #74a9ff; }
  }
  .paper { fill: var(--paper); }
  text { fill: var(--faint); font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
  text.title { fill: var(--ink); font-size: 15px; font-weight: 600; }
  text.name { fill: var(--ink); font-size: 13px; }
  .tick { text-anchor: middle; }
  .grid { stroke: var(--line); }
  .bar { fill: var(--faint); }
  .bar.own { fill: var(--c); }
  .range { stroke: var(--ink); stroke-width: 1.5; }
""")


def draw(found: Comparison) -> Markup:
    """Return an SVG document, complete in itself, in the colours of the page: light or dark.

    A bar is the median ratio, the line on it the range over the rounds.
    """
    ticks = _ticks(max(row.speedup_max for row in found.rows))
    bottom = _TOP + _ROW * len(found.rows)
    ratio = f"times as fast as {found.rows[0].name}"
    marks = (
        mark
        for number, row in enumerate(found.rows)
        for mark in _marks(row, _TOP + _ROW * (number + 0.5), ticks[-1])
    )
    return tag(
        "svg",
        tag("style", _STYLE),
        tag("rect", class_="paper", width=_WIDTH, height=bottom + _BOTTOM),
        tag("text", found.choice.model, x=16, y=26, class_="title"),
        tag("text", f"{ratio}; median and range", x=16, y=46),
        tag("text", f"{found.conditions}; {found.machine['processor']}", x=16, y=63),
        *_frame(ticks, bottom),
        *marks,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {bottom + _BOTTOM}",
        role="img",
        aria_label=f"{found.choice.model}: {ratio}",
    )


def _ticks(highest: float) -> list[float]:
    """Return round values from 0 to at least `highest`, three to six steps apart."""
    rough = highest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [number * step for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _x(ratio: float, highest: float) -> float:
    return round(_NAMES + ratio / highest * (_RIGHT - _NAMES), 1)


def _frame(ticks: list[float], bottom: float) -> Iterator[Markup]:
    for value in ticks:
        x = _x(value, ticks[-1])
        yield tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid")
        yield tag("text", f"{value:.6g}", x=x, y=bottom + 18, class_="tick")


def _marks(row: Row, y: float, highest: float) -> Iterator[Markup]:
    low, middle, high = (
        _x(ratio, highest) for ratio in (row.speedup_min, row.speedup, row.speedup_max)
    )
    words = f"{row.name}: {row.speedup:.2f} times ({row.speedup_min:.2f} to {row.speedup_max:.2f})"
    bar = {"x": _NAMES, "y": y - 8, "width": round(middle - _NAMES, 1), "height": 16}
    kind = "bar own" if row.is_own else "bar"
    yield tag("text", row.name, x=16, y=y + 4, class_="name")
    yield tag("rect", tag("title", words), class_=kind, **bar)
    yield tag("line", x1=low, x2=high, y1=y, y2=y, class_="range")
    yield tag("text", f"{row.speedup:.2f}", x=high + 8, y=y + 4)
