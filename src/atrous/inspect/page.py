"""What was found about a network as one page: numbers, drawings and, with a photograph, maps."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from atrous.files import write_text
from atrous.inspect.branch_table import BranchTable
from atrous.inspect.drawings.heat_map import heat_map
from atrous.inspect.drawings.network_graph import network_graph
from atrous.inspect.drawings.tap_curve import tap_curve
from atrous.inspect.drawings.tap_grid import Kernel, tap_grid, tap_line
from atrous.inspect.effective_field import side_holding
from atrous.inspect.figures import figures
from atrous.inspect.graph_of import graph_of
from atrous.inspect.inspection import Inspection
from atrous.inspect.photo_page import photo_sections
from atrous.inspect.table import LayerTable
from atrous.nn import Pyramid
from atrous.nn.geometry import same_padding
from atrous.page.document import document
from atrous.page.layout import grid, percent, section, wide
from atrous.page.markup import Markup, join, tag
from atrous.page.standalone import standalone

_MOST_CELLS = 160  # along a side of a map that taps are drawn on; more cannot be told apart


def write_page(found: Inspection, path: str | Path) -> Path:
    """Write a page about a network, complete in itself.

    Returns:
        Its path.

    Raises:
        ResourceError: The page cannot be written.
    """
    head, *lines = found.title.splitlines() or ["network"]
    parts = [
        tag("header", tag("h1", head), *(tag("p", line) for line in lines), _tiles(found)),
        section("Network", wide(network_graph(graph_of(found.network, found.table)))),
        *_pyramid(found),
        _strides(found),
        *(photo_sections(found.photo) if found.photo else ()),
        _layers(found.table),
    ]
    return write_text(path, document(head, parts))


def write_graph(found: Inspection, path: str | Path) -> Path:
    """Write the graph of a network as an SVG that brings its own style.

    Returns:
        Its path.

    Raises:
        ResourceError: It cannot be written.
    """
    return write_text(path, standalone(network_graph(graph_of(found.network, found.table))))


def _tiles(found: Inspection) -> Markup:
    table, memory = found.table, found.table.megabytes
    outputs = sum(row.megabytes for row in table.rows)
    tiles = [
        ("parameters", f"{table.parameters / 1e6:.2f} M", f"{table.parameters:,}"),
        ("multiply-adds", f"{table.multiply_adds / 1e9:.2f} G", f"{table.multiply_adds:,}"),
        ("outputs", f"{outputs:,.0f} MB", "of all layers, float32"),
        ("weights", f"{memory['parameters']:,.1f} MB", "float32"),
    ]
    drawn = (
        tag("div", tag("span", name), tag("strong", value), tag("small", note), class_="tile")
        for name, value, note in tiles
    )
    return tag("div", *drawn, class_="tiles")


def _pyramid(found: Inspection) -> Iterator[Markup]:
    table = found.branches
    pyramid = next((part for part in found.network.modules() if isinstance(part, Pyramid)), None)
    if table is None or pyramid is None:
        return
    yield section(
        "Pyramid",
        tag(
            "p",
            f"It reads a map of {_by(table.map_size)} cells, {table.stride} {table.unit} apart; "
            f"lengths are in {table.unit}.",
        ),
        tag("p", table.advice, class_="warning") if table.warning else None,
        figures(
            ("branch", "useful taps", "reach", "theoretical field", "effective field"),
            (row.words() for row in table.rows),
        ),
        tag("p", table.sizes),
    )
    if pyramid.kernel_size % 2 and max(table.map_size) <= _MOST_CELLS:
        yield _taps(table, pyramid.kernel_size)
    yield _fields(found)


def _taps(table: BranchTable, kernel_size: int) -> Markup:
    height, width = table.map_size
    cell = height // 4, width // 4
    drawn = []
    for row in table.rows:
        if row.rate is None:
            continue
        down, right = (same_padding(kernel_size, rate) for rate in row.rate)
        kernel = Kernel(kernel_size, row.rate, (down, right))
        caption = tag("figcaption", row.name, tag("span", percent(row.useful or math.nan)))
        line = tap_line(Kernel(kernel_size, row.rate[1], right), width, cell[1])
        drawing = tap_grid(kernel, (height, width), cell)
        drawn.append(tag("figure", caption, line, drawing, class_="chart"))
    note = (
        "Above: one output cell and the row of cells that it reads. Below: its taps on the map; "
        "hollow ones fall on padding. The stronger the ground, the more taps an output cell there "
        "reads; the number is their share in the mean over the map."
    )
    curve = tap_curve(height, width, kernel_size=kernel_size)
    return section("Taps", tag("p", note), _small(drawn), grid(curve))


def _fields(found: Inspection) -> Markup:
    drawn = []
    for name, heat in found.fields.items():
        side = side_holding(heat)
        caption = tag("figcaption", name, tag("span", f"90 % within {side} px"))
        values = heat.sqrt()
        span = float(values.flatten().quantile(0.995))  # so that single pixels do not outshine all
        drawing = heat_map(
            values.numpy(), label=f"field of {name}", squares={"90 %": side}, span=span
        )
        drawn.append(tag("figure", caption, drawing, class_="chart"))
    source = "the photograph" if found.photo else "noise"
    note = (
        f"How strongly each pixel acts on the middle cell of a branch: its gradient on {source}, "
        "as a square root so that little is seen too. The square holds 90 percent of it."
    )
    return section("Effective fields", *((tag("p", note), _small(drawn)) if drawn else ()))


def _strides(found: Inspection) -> Markup:
    rows = (
        (
            f"output stride {row.output_stride}",
            ", ".join(map(str, row.rates)),
            f"{row.multiply_adds / 1e9:,.2f}",
            f"{row.megabytes:,.0f}",
            "" if row.useful is None else percent(row.useful),
        )
        for row in found.strides
    )
    head = ("", "rates", "multiply-adds, billions", "outputs MB", "useful taps of the widest")
    return section("Output strides", figures(head, rows) if found.strides else None)


def _layers(table: LayerTable) -> Markup:
    rows = (
        (
            row.name or "(itself)",
            row.kind,
            _by(row.output_shape),
            f"{row.parameters:,}",
            f"{row.multiply_adds / 1e6:,.1f}",
            f"{row.megabytes:,.2f}",
        )
        for row in table.rows
    )
    head = ("layer", "kind", "output", "parameters", "multiply-adds, millions", "output MB")
    summary = tag("summary", f"{len(table.rows)} layers")
    return section("Layers", tag("details", summary, figures(head, rows, "layers")))


def _small(drawn: Sequence[Markup]) -> Markup:
    return tag("div", join(drawn, "\n"), class_="grid small")


def _by(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))
