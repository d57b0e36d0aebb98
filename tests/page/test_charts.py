import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atrous.page.charts import line_chart


def _curves(chart):
    return [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polyline points="([^"]*)"', chart)
    ]


def _ticks(chart, axis):
    found = re.findall(rf'class="tick {axis}">([^<]*)<', chart)
    return [float(text.replace(",", "")) for text in found]


def test_a_curve_stands_where_its_values_are():
    chart = line_chart("Loss", [0, 50, 100], {"loss": [4.0, 2.0, 0.0]}, axis="loss")
    assert _ticks(chart, "y") == [0, 1, 2, 3, 4]
    assert _ticks(chart, "x") == [0, 20, 40, 60, 80, 100]
    (curve,) = _curves(chart)
    assert curve == [(50, 28), (248, 118), (446, 208)]


def test_every_step_says_its_values():
    curves = {"mIoU": [12.5, math.nan], "accuracy": [50, 60]}
    chart = line_chart("Scores", [1000, 2000], curves, axis="percent")
    titles = re.findall(r"<title>([^<]*)</title>", chart)
    assert titles == ["step 1,000: mIoU 12.5, accuracy 50", "step 2,000: accuracy 60"]
    assert [len(curve) for curve in _curves(chart)] == [1, 2]
    assert chart.count("<circle") == 3


def test_what_runs_along_the_chart_has_its_name():
    chart = line_chart("Taps", [1, 2], {"nine": [1, 0.5]}, axis="share", along="rate")
    assert re.findall(r"<title>([^<]*)</title>", chart) == ["rate 1: nine 1", "rate 2: nine 0.5"]
    assert 'class="axis x">rate</text>' in chart
    assert "step" not in chart


def test_two_curves_have_a_legend_and_one_has_none():
    curves = {"<a>": [1], "b": [2]}
    assert '<span class="key c0">&lt;a&gt;</span>' in line_chart("t", [1], curves, axis="y")
    assert "key" not in line_chart("t", [1], {"a": [1]}, axis="y")


def test_curves_beyond_the_colours_are_dashed():
    from importlib import resources

    chart = line_chart("t", [1, 2], {f"{k}": [k, k + 1] for k in range(24)}, axis="y")
    looks = re.findall(r'<polyline [^>]*class="curve ([^"]*)"', chart)
    assert looks[:1] + looks[5:8] + looks[23:] == ["c0", "c5", "c0 d1", "c1 d1", "c5 d3"]
    assert len(set(looks)) == 24
    style = (resources.files("atrous.page") / "drawing.css").read_text()
    assert all(f".{name} {{" in style for look in looks for name in look.split())


def test_many_points_become_means_of_neighbours():
    steps = range(1, 100_001)
    chart = line_chart("Loss", steps, {"loss": [1 + step % 2 for step in steps]}, axis="loss")
    (curve,) = _curves(chart)
    assert len(curve) == 240
    assert {round(y) for _, y in curve} == {73}  # 1.5 of 2, between the pixels 208 and 28
    assert len(chart) < 60_000


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, math.nan]])
def test_without_a_value_there_is_no_chart(values):
    assert line_chart("Loss", range(len(values)), {"loss": values}, axis="loss") == ""


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=400), st.integers(0, 10**9))
def test_all_stays_inside_and_ticks_are_few(values, first):
    steps = range(first, first + len(values))
    chart = line_chart("Loss", steps, {"loss": values}, axis="loss")
    (curve,) = _curves(chart)
    assert all(50 <= x <= 446 and 28 <= y <= 208 for x, y in curve)
    ticks = _ticks(chart, "y")
    assert 2 <= len(ticks) <= 9
    assert len(set(ticks)) == len(ticks)
    assert "nan" not in chart
