import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from atrous.bench.chart import draw

SVG = "{http://www.w3.org/2000/svg}"


def _bars(drawing):
    boxes = [one for one in drawing.iter(f"{SVG}rect") if "bar" in one.get("class")]
    return {box.find(f"{SVG}title").text.partition(":")[0]: box for box in boxes}


def test_bars_are_as_long_as_the_ratios(found):
    drawing = ET.fromstring(draw(found))  # noqa: S314, our own
    bars = _bars(drawing)
    lengths = {name: float(bar.get("width")) for name, bar in bars.items()}
    unit = lengths["torchvision eager fp32"]
    assert lengths["atrous openvino bf16"] == pytest.approx(8 * unit, abs=1)
    assert lengths["atrous torch fp32"] == pytest.approx(1.02 * unit, abs=1)
    own = {name for name, bar in bars.items() if "own" in bar.get("class")}
    assert own == {"atrous torch fp32", "atrous openvino bf16"}


def test_ranges_reach_from_the_least_to_the_largest(found):
    drawing = ET.fromstring(draw(found))  # noqa: S314
    unit = float(_bars(drawing)["torchvision eager fp32"].get("width"))
    ranges = [one for one in drawing.iter(f"{SVG}line") if one.get("class") == "range"]
    lengths = [float(one.get("x2")) - float(one.get("x1")) for one in ranges]
    assert lengths == pytest.approx([0, 0.2 * unit, 0.9 * unit], abs=0.5)


@pytest.mark.parametrize("factor", [0.01, 1, 300])
def test_everything_is_on_the_page(found, factor):
    rows = [replace(row, speedup_max=row.speedup_max * factor) for row in found.rows]
    drawing = ET.fromstring(draw(replace(found, rows=tuple(rows))))  # noqa: S314
    width = float(drawing.get("viewBox").split()[2])
    assert all(0 <= float(one.get("x")) <= width - 30 for one in drawing.iter(f"{SVG}text"))
    ticks = [one.text for one in drawing.iter(f"{SVG}text") if one.get("class") == "tick"]
    assert 3 <= len(ticks) <= 8
    assert ticks[0] == "0"


def test_names_cannot_break_out(found):
    assert "Abacus &lt;1&gt;" in draw(found)
