from atrous.page.document import document
from atrous.page.layout import section
from atrous.page.markup import tag


def test_a_page_holds_its_parts_in_order_and_leaves_empty_ones_out():
    page = document("A <b>", [section("One", tag("p", "1")), section("None"), tag("p", "$style")])
    assert page.startswith("<!doctype html>")
    assert "<title>A &lt;b&gt;</title>" in page
    assert page.index("<h2>One</h2>") < page.index("<p>$style</p>")
    assert "None" not in page


def test_a_page_asks_for_nothing():
    page = document("A", [])
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert f'content="{policy}"' in page
    for word in ("<script", "href=", "url(", "@import"):
        assert word not in page
