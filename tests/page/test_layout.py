import math

from atrous.page.layout import grid, percent, section, swatch, wide
from atrous.page.markup import Markup, tag


def test_a_section_without_parts_is_nothing():
    assert section("Curves", None, "", Markup()) == ""
    assert grid(Markup()) == ""
    assert section("A & B", wide(tag("p"))) == (
        '<section><h2>A &amp; B</h2><div class="wide"><p></p></div></section>'
    )


def test_a_swatch_has_its_color():
    assert swatch((1, 2, 3)) == '<i class="swatch" style="background:rgb(1,2,3)"></i>'
    assert swatch(None) == ""


def test_fractions_are_percentages():
    assert percent(0.4123) == "41.2 %"
    assert percent(math.nan) == "n/a"
