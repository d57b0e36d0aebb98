import re

from hypothesis import given
from hypothesis import strategies as st

from atrous.inspect.drawings.network_graph import Box, Graph, network_graph


def boxes_of(drawing):
    pattern = r'<rect x="([\d.-]+)" y="([\d.-]+)" width="(\d+)" height="(\d+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, drawing)]


@given(st.integers(0, 6), st.integers(0, 8), st.integers(1, 6))
def test_no_two_boxes_overlap_and_all_are_inside(before, branches, after):
    graph = Graph(
        [Box(f"b{k}") for k in range(before)],
        [Box(f"r{k}") for k in range(branches)],
        [Box(f"a{k}") for k in range(after)],
    )
    drawing = network_graph(graph)
    boxes = boxes_of(drawing)
    assert len(boxes) == before + branches + after
    for number, (x, y, wide, high) in enumerate(boxes):
        for left, top, *_ in boxes[:number]:
            assert abs(x - left) >= wide or abs(y - top) >= high
    x0, y0, wide, high = map(float, re.search(r'viewBox="([^"]*)"', drawing)[1].split())
    assert all(x0 <= x <= x0 + wide - 128 and y0 <= y <= y0 + high - 44 for x, y, *_ in boxes)


def test_every_branch_is_read_and_joined():
    graph = Graph([Box("net")], [Box("1x1"), Box("rate 6"), Box("image")], [Box("concat")])
    assert network_graph(graph).count('class="arrow"') == 6
    chain = Graph([Box("net")], [Box("6"), Box("12", reads=1), Box("24", reads=1)], [Box("concat")])
    drawing = network_graph(chain)
    assert drawing.count('class="arrow"') == 6
    assert len(re.findall(r'd="M[\d.]+ [\d.]+V[\d.]+" class="arrow"', drawing)) == 1


def test_an_early_map_goes_below_the_branches():
    graph = Graph(
        [Box("image"), Box("net")], [Box("1x1")] * 3, [Box("concat"), Box("decoder")], (1, 1)
    )
    drawing = network_graph(graph)
    bottom = max(y + high for _, y, _, high in boxes_of(drawing))
    path = re.search(r'd="M[\d.]+ [\d.]+V([\d.]+)H[\d.]+V', drawing)
    assert float(path[1]) > bottom
    assert "early map" in drawing


def test_long_and_hostile_names_stay_inside():
    drawing = network_graph(Graph([Box("x" * 50, "<b>")], [], []))
    assert f"{'x' * 19}…</text>" in drawing
    assert f"<title>{'x' * 50}: &lt;b&gt;</title>" in drawing
