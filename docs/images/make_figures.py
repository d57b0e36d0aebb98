"""Draws the figures of the pages: `python docs/images/make_figures.py` writes the SVGs beside it.

Each is a function of numbers alone, in two sets of colours, for light and dark pages.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from atrous.inspect.drawings.network_graph import Box, Graph, network_graph
from atrous.inspect.drawings.tap_curve import tap_curve
from atrous.inspect.drawings.tap_grid import Kernel, tap_grid, tap_line
from atrous.nn.geometry import useful_taps
from atrous.page.charts import line_chart
from atrous.page.markup import Markup, tag
from atrous.page.standalone import standalone

_OWN = """\
text.title { fill: var(--ink); font-size: 15px; font-weight: 600; }
text.key { fill: var(--color); }
.read { fill: var(--c0); stroke: var(--line); }
.before { fill: var(--c0); }
.after { fill: none; stroke: var(--c1); stroke-width: 2; }
"""


def figure(label: str, *parts: object, width: float, height: float) -> str:
    """Return a whole SVG document of `width` x `height` px."""
    box = f"0 0 {width:g} {height:g}"
    return standalone(tag("svg", tag("style", _OWN), *parts, viewBox=box, aria_label=label))


def place(drawing: str, at: tuple[float, float], size: tuple[float, float]) -> Markup:
    """Return the SVG of a page's drawing at a place of a figure: (x, y), (width, height)."""
    still = re.sub('<g class="point.*?</g>', "", drawing)  # what a page shows on hovering
    svg = still[still.index("<svg ") + 5 : still.index("</svg>") + 6]
    (x, y), (width, height) = at, size
    return Markup(f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" {svg}')


def title(words: str, x: float, y: float) -> Markup:
    """Return what stands above a part of a figure."""
    return tag("text", words, x=x, y=y, class_="title")


def rates() -> str:
    """Draw one kernel at three rates, on a line of 25 cells."""
    parts: list[Markup] = []
    for number, rate in enumerate((1, 4, 8)):
        top = 24 + 92 * number
        words = f"rate {rate}: 3 taps, {2 * rate + 1} cells"
        line = tap_line(Kernel(3, rate, rate), 25, 12)
        parts += [title(words, 0, top), place(line, (170, top - 22), (480, 84))]
    return figure("A kernel of three taps at rates 1, 4 and 8", *parts, width=660, height=290)


def taps() -> str:
    """Draw the rates of v3 on the map of a crop of 513 pixels at output stride 16."""
    parts: list[Markup] = []
    for number, rate in enumerate((6, 12, 18)):
        left = 232 * number
        share = useful_taps(rate, 33, 33) / 9
        grid = tap_grid(Kernel(3, rate, rate), (33, 33), (8, 8))
        parts += [
            title(f"rate {rate}: {share:.0%} useful", left, 18),
            place(grid, (left, 26), (218, 218)),
        ]
    return figure("Taps of three rates on a map of 33x33 cells", *parts, width=690, height=250)


def weights() -> str:
    """Draw figure 4 of arXiv:1706.05587: how many weights are left as the rate grows."""
    return _chart(
        "Weights that fall inside a map of 65x65 cells",
        tap_curve(65, 65),
        ["9 weights", "6 weights", "4 weights", "2 weights", "1 weight"],
    )


def crops() -> str:
    """Draw how much of each rate of v3 is left on crops of a growing side."""
    sides = list(range(65, 1026, 32))
    cells = [-(-side // 16) for side in sides]
    shares = {
        f"rate {rate}": [100 * useful_taps(rate, cell, cell) / 9 for cell in cells]
        for rate in (6, 12, 18)
    }
    chart = line_chart(
        "", sides, shares, axis="percent of the taps inside", along="side of the crop, pixels"
    )
    return _chart("Useful taps at output stride 16", chart, list(shares))


def gridding() -> str:
    """Draw how often the cells of a map are read through three kernels, one behind the other."""
    parts: list[Markup] = []
    for number, three in enumerate(((2, 2, 2), (1, 2, 3))):
        left = 300 * number
        parts.append(title(f"rates {', '.join(map(str, three))}", left, 18))
        parts += _counts(three, left, 28)
    return figure("Cells that three 3x3 kernels in a row read", *parts, width=560, height=292)


def corners() -> str:
    """Draw where five cells lie when they become nine pixels, in both conventions."""
    parts: list[Markup] = []
    for number, aligned in enumerate((False, True)):
        top = 24 + 96 * number
        parts.append(title(f"align_corners={aligned}", 0, top))
        parts += _grids(5, 9, aligned, top)
    return figure("Centres of five cells and of nine pixels", *parts, width=640, height=200)


def networks() -> Iterator[tuple[str, str]]:
    """Yield the four networks by the names of their files."""
    vgg, resnet = Box("VGG-16", "stride 8"), Box("ResNet-101", "stride 16")
    up = Box("upsample", "bilinear")
    v2 = [Box(f"3x3, rate {rate}", "1024, 1024, K") for rate in (6, 12, 18, 24)]
    v3 = [
        Box("1x1", "256"),
        *(Box(f"3x3, rate {rate}", "256") for rate in (6, 12, 18)),
        Box("image pooling", "256"),
    ]
    joined, classes = Box("concat, 1x1", "256"), Box("classifier", "K")
    graphs = {
        "v1": Graph(
            [vgg], [Box("3x3, rate 12", "LargeFOV, 1024")], [Box("1x1", "1024"), classes, up]
        ),
        "v2": Graph([vgg], v2, [Box("sum", "K"), up]),
        "v3": Graph([resnet], v3, [joined, classes, up]),
        "v3plus": Graph(
            [Box("early layers", "stride 4"), resnet],
            v3,
            [joined, Box("decoder", "two 3x3, stride 4"), classes, up],
            skip=(0, 1),
        ),
    }
    for name, graph in graphs.items():
        drawing = network_graph(graph)
        box = drawing.partition('viewBox="')[2].partition('"')[0]
        width, height = map(float, box.split()[2:])
        whole = place(drawing, (0, 0), (width, height))
        yield f"deeplab-{name}", figure(f"DeepLab {name}", whole, width=width, height=height)


def _chart(words: str, chart: Markup, names: Sequence[str]) -> str:
    keys = [
        tag("text", f"■ {name}", x=20 + 100 * number, y=44, class_=f"key c{number}")
        for number, name in enumerate(names)
    ]
    drawing = place(chart, (0, 54), (598, 325))
    return figure(words, title(words, 20, 22), *keys, drawing, width=600, height=384)


def _counts(three: Sequence[int], left: float, top: float) -> Iterator[Markup]:
    """Yield a map of 13x13 cells, the darker the more ways lead from a cell to the middle one."""
    line = np.zeros(13, dtype=int)
    line[6] = 1
    for rate in three:
        line = line + np.roll(line, rate) + np.roll(line, -rate)
    ways, cell = np.outer(line, line), 20
    for row, column in product(range(13), repeat=2):
        at = {"x": left + column * cell, "y": top + row * cell}
        opacity = f"{ways[row, column] ** 0.5 / ways.max() ** 0.5:.3f}"
        yield tag("rect", **at, width=cell, height=cell, class_="read", fill_opacity=opacity)


def _grids(cells: int, pixels: int, aligned: bool, top: float) -> Iterator[Markup]:
    """Yield the centres of cells (dots) and of the pixels that they become (rings)."""
    left, width = 180, 440

    def x(position: float) -> str:  # of a position in cells, from the left edge of the map
        return f"{left + width * position / cells:.1f}"

    def center(pixel: int) -> float:
        scale = (cells - 1) / (pixels - 1) if aligned else cells / pixels
        return pixel * scale + 0.5 if aligned else (pixel + 0.5) * scale

    for edge in range(cells + 1):
        yield tag("line", x1=x(edge), x2=x(edge), y1=top - 14, y2=top + 44, class_="grid")
    for cell in range(cells):
        yield tag("circle", cx=x(cell + 0.5), cy=top, r=6, class_="before")
    for pixel in range(pixels):
        yield tag("circle", cx=x(center(pixel)), cy=top + 30, r=5, class_="after")


FIGURES: dict[str, Callable[[], str]] = {
    "rates": rates,
    "taps": taps,
    "weights": weights,
    "crops": crops,
    "gridding": gridding,
    "corners": corners,
}


def drawn() -> dict[str, str]:
    """Return the text of every figure, by the name of its file."""
    figures = {name: draw() for name, draw in FIGURES.items()} | dict(networks())
    return {f"{name}.svg": text for name, text in figures.items()}


if __name__ == "__main__":
    for name, text in drawn().items():
        (Path(__file__).parent / name).write_text(text, encoding="utf-8")
