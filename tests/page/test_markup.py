from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from atrous.page.markup import Markup, join, tag


class Reader(HTMLParser):
    """Notes all elements, with their attributes, and all text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_elements_stand_in_each_other():
    assert tag("p", "so ", tag("b", 5), class_="note") == '<p class="note">so <b>5</b></p>'
    assert tag("img", src="a.png") == '<img src="a.png">'
    assert tag("svg", aria_label="x", viewBox="0 0 1 1").startswith('<svg aria-label="x" viewBox')


def test_nothing_is_left_out():
    assert tag("p", None, "", title=None) == "<p></p>"
    assert join(["a", None, "b"], ", ") == "a, b"


@given(st.text(st.characters(exclude_characters="\0\r")))
def test_any_text_arrives_as_it_was_and_makes_no_element(text):
    expected = text.encode("utf-8", "replace").decode()
    read = Reader(tag("p", text, title=text))
    assert read.text == expected
    assert read.elements == [("p", {"title": expected})]


def test_markup_is_not_escaped_twice():
    inner = tag("b", "1 < 2")
    assert isinstance(inner, Markup)
    assert tag("p", inner, inner) == "<p><b>1 &lt; 2</b><b>1 &lt; 2</b></p>"


def test_a_file_name_that_is_no_utf_8_can_be_written():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert tag("p", name).encode() == b"<p>caf?</p>"
