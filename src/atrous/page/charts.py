"""Line charts as SVG that takes its colours from the page, with a tooltip at every point."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from atrous.page.markup import Markup, join, tag

# px of the drawing, which is stretched to the width that the page has
_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 446, 28, 208
_ACROSS, _UPWARDS = (_LEFT, _RIGHT), (_BOTTOM, _TOP)
_MOST_POINTS = 240  # of a curve; more cannot be told apart
_FEW_POINTS = 40  # up to here each has its dot
_COLORS, _DASHES = 6, 4  # what the style sheet has of either; curve 6 is the first that is dashed


def line_chart(
    title: str,
    steps: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    axis: str,
    along: str = "step",
) -> Markup:
    """Return a figure of curves over the steps of a training, or over other whole numbers.

    Values that are not finite are left out. Beyond 240 steps, neighbours are averaged.

    Args:
        title: What stands above.
        steps: N steps, ascending, from 0 up.
        curves: N values of each curve, by its name.
        axis: What is drawn upwards, with its unit.
        along: What a step is called.

    Example:
        >>> line_chart("Loss", [10, 20], {"loss": [2.0, 1.0]}, axis="loss").count("<circle")
        2
    """
    table = np.array([steps, *curves.values()], dtype=float)
    table = _thin(table[:, np.isfinite(table[1:]).any(axis=0)])
    if not table.size:
        return Markup()
    x_ticks, y_ticks = _ticks(0, table[0].max()), _ticks(*_span(table[1:]))
    x = _to_pixels(table[0], (0, table[0].max()), _ACROSS)
    y = _to_pixels(table[1:], (y_ticks[0], y_ticks[-1]), _UPWARDS)
    drawing = tag(
        "svg",
        *_y_axis(y_ticks, axis),
        *_x_axis(x_ticks, table[0].max(), along),
        *(_curve(number, x, line) for number, line in enumerate(y)),
        *_points(table, x, y, [along, *curves]),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=title,
    )
    return tag("figure", tag("figcaption", title, *_legend(list(curves))), drawing, class_="chart")


def _thin(table: np.ndarray) -> np.ndarray:
    """Return the columns, (1 + curves, N), or means of neighbours where there are too many."""
    if table.shape[1] <= _MOST_POINTS:
        return table
    groups = np.array_split(table, _MOST_POINTS, axis=1)
    return np.stack([_mean(group) for group in groups], axis=1)


def _mean(group: np.ndarray) -> np.ndarray:
    """Return the mean of each row over what is finite in it."""
    finite = np.isfinite(group)
    counts = finite.sum(axis=1)
    sums = np.where(finite, group, 0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(group), np.nan), where=counts > 0)


def _span(values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and highest value to show, zero included."""
    finite = values[np.isfinite(values)]
    return min(0.0, finite.min()), max(0.0, finite.max())


def _ticks(low: float, high: float) -> list[float]:
    """Return round values, three to six steps apart, from at most `low` to at least `high`.

    They are multiples of 1, 2 or 5 times a power of ten.
    """
    rough = (high - low) / 5 or 0.2
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _to_pixels(
    values: np.ndarray | float, span: tuple[float, float], pixels: tuple[int, int]
) -> np.ndarray:
    """Carry values from `span` over to `pixels`."""
    (low, high), (start, end) = span, pixels
    return start + (np.asarray(values) - low) / ((high - low) or 1) * (end - start)


def _y_axis(ticks: list[float], axis: str) -> Iterator[Markup]:
    yield tag("text", axis, x=4, y=12, class_="axis")
    for value in ticks:
        y = _round(_to_pixels(value, (ticks[0], ticks[-1]), _UPWARDS))
        yield tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid")
        yield tag("text", f"{value:g}", x=_LEFT - 8, y=y, class_="tick y")


def _x_axis(ticks: list[float], highest: float, along: str) -> Iterator[Markup]:
    yield tag("text", along, x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 5, class_="axis x")
    for value in ticks:
        if value <= highest and value == round(value):
            x = _round(_to_pixels(value, (0, highest), _ACROSS))
            yield tag("text", f"{value:,.0f}", x=x, y=_BOTTOM + 18, class_="tick x")


def _curve(number: int, x: np.ndarray, y: np.ndarray) -> Markup:
    known = np.isfinite(y)
    points = " ".join(f"{_round(a)},{_round(b)}" for a, b in zip(x[known], y[known], strict=True))
    return tag("polyline", points=points, class_=f"curve {_look(number)}")


def _points(table: np.ndarray, x: np.ndarray, y: np.ndarray, names: list[str]) -> Iterator[Markup]:
    """Yield for each step what shows on hovering: its dots, its values, and where to hover."""
    borders = [_LEFT, *((a + b) / 2 for a, b in pairwise(x)), _RIGHT]
    for number, (left, right) in enumerate(pairwise(borders)):
        known = [row for row in range(len(y)) if np.isfinite(y[row, number])]
        values = ", ".join(f"{names[1 + row]} {table[1 + row, number]:.4g}" for row in known)
        yield tag(
            "g",
            tag("title", f"{names[0]} {table[0, number]:,.0f}: {values}"),
            tag("rect", x=_round(left), y=_TOP, width=_round(right - left), height=_BOTTOM - _TOP),
            *(_dot(row, x[number], y[row, number]) for row in known),
            class_="point few" if len(x) <= _FEW_POINTS else "point",
        )


def _dot(number: int, x: float, y: float) -> Markup:
    return tag("circle", cx=_round(x), cy=_round(y), r=3, class_=_look(number))


def _legend(names: list[str]) -> Iterator[Markup]:
    if len(names) > 1:
        keys = (tag("span", name, class_=f"key {_look(k)}") for k, name in enumerate(names))
        yield tag("span", join(keys), class_="keys")


def _look(number: int) -> str:
    """Return the classes of a curve: its colour, and its dashes when the colours are used up."""
    dash = number // _COLORS % _DASHES
    return f"c{number % _COLORS}" + (f" d{dash}" if dash else "")


def _round(pixels: float | np.ndarray) -> str:
    return f"{float(pixels):.1f}".removesuffix(".0")
