import re
from xml.etree import ElementTree

import pytest

from atrous.inspect.drawings.heat_map import heat_map
from atrous.inspect.drawings.network_graph import Box, Graph, network_graph
from atrous.inspect.drawings.tap_curve import tap_curve
from atrous.inspect.drawings.tap_grid import Kernel, tap_grid, tap_line
from atrous.page.standalone import drawing_style, standalone

DRAWINGS = {
    "graph": network_graph(Graph([Box("a <b>")], [Box("1x1")], [Box("concat")])),
    "grid": tap_grid(Kernel(3, 6, 6), (33, 33), (8, 8)),
    "line": tap_line(Kernel(3, 2, 2), 9, 4),
    "curve": tap_curve(33, 33),
    "map": heat_map(__import__("numpy").eye(3), label="eye", squares={"half": 2}),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_it_is_a_document_with_a_size_and_all_its_colours(name):
    text = standalone(DRAWINGS[name])
    root = ElementTree.fromstring(text)  # noqa: S314, what we have just drawn
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width")) > 0
    assert float(root.get("height")) > 0
    style = root.find("{http://www.w3.org/2000/svg}style").text
    used = {word for part in root.iter() for word in (part.get("class") or "").split()}
    unstyled = {word for word in used if f".{word}" not in style}
    assert unstyled <= {"x", "y", "axis", "tick", "graph"}  # `text.x` and the like; no style


def test_no_colour_is_used_that_is_not_defined():
    style = drawing_style()
    assert set(re.findall(r"var\((--\w+)\)", style)) <= set(re.findall(r"(--[\w-]+):", style))


def test_what_is_no_drawing_is_refused():
    with pytest.raises(ValueError, match="expected an <svg> with a viewBox"):
        standalone("<p>text</p>")
