import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from atrous.reproduce import Line
from atrous.reproduce.chart import draw

SVG = "{http://www.w3.org/2000/svg}"


def _draw(study, *scores):
    padded = [*scores, *[{}] * (len(study.variants) - len(scores))]
    table = [
        Line(variant, values, dict.fromkeys(values, 1.0))
        for variant, values in zip(study.variants, padded, strict=True)
    ]
    return ElementTree.fromstring(draw(study, table, measured_on="shapes"))  # noqa: S314, our own


def _dots(picture, kind):
    return [
        float(dot.get("cx")) for dot in picture.iter(f"{SVG}circle") if dot.get("class") == kind
    ]


def test_every_score_has_its_mark(study):
    picture = _draw(study, {0: 50.0, 1: 54.0}, {0: 51.0, 1: 57.0, 2: math.nan}, {0: 60.0})
    assert len(_dots(picture, "published")) == 3
    assert len(_dots(picture, "seed")) == 5
    assert len(_dots(picture, "mean")) == 2  # that of far is not known
    spreads = [line for line in picture.iter(f"{SVG}line") if line.get("class") == "spread"]
    assert len(spreads) == 1


def test_a_point_is_equally_long_on_both_sides(study):
    picture = _draw(study, {0: 30.0}, {0: 32.5}, {0: 40.0})
    published, measured = _dots(picture, "published"), _dots(picture, "mean")
    assert measured[1] - measured[0] == pytest.approx(published[1] - published[0], abs=0.2)
    assert measured[2] - measured[0] == pytest.approx(4 * (published[1] - published[0]), abs=0.6)


def test_error_bars_are_centred_on_the_mean_and_inside_the_page(study):
    picture = _draw(study, {0: 50.0, 1: 90.0}, {0: 51.0, 1: 57.0})
    width = float(picture.get("viewBox").split()[2])
    bars = [line for line in picture.iter(f"{SVG}line") if line.get("class") == "spread"]
    for bar, mean in zip(bars, _dots(picture, "mean"), strict=True):
        low, high = float(bar.get("x1")), float(bar.get("x2"))
        assert (low + high) / 2 == pytest.approx(mean, abs=0.2)
        assert 0 < low < high < width


def test_names_are_text_and_never_markup(study):
    wicked = replace(study, varies='<script>"&')
    texts = [text.text for text in _draw(wicked, {0: 1.0}).iter(f"{SVG}text")]
    assert 'tiny: <script>"&' in texts
