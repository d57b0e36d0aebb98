from html.parser import HTMLParser

import pytest

from atrous.errors import ResourceError
from atrous.inspect.inspection import inspect_network
from atrous.inspect.page import write_page
from atrous.models import create_model
from atrous.nn import ASPP

SECTIONS = ["Network", "Pyramid", "Taps", "Effective fields", "Output strides", "Photograph"]
SECTIONS += ["Class activation", "Branches", "Layers"]


class Page(HTMLParser):
    """Reads a page as a browser does, and sees to it that every element is closed in its turn."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.headings = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in {"meta", "img"}:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def path(model, photo, tmp_path_factory):
    found = inspect_network(model, (1, 3, 48, 80), title="<i>small\non a photo", photo=photo)
    return write_page(found, tmp_path_factory.mktemp("page") / "page.html")


def test_a_model_with_a_photograph_has_every_section(path):
    assert Page(path).headings == SECTIONS
    assert path.stat().st_size < 3_000_000


def test_a_module_has_what_it_has(tmp_path):
    found = inspect_network(ASPP(8, 4, rates=(6, 12, 18)), (1, 8, 65, 65), title="aspp")
    page = write_page(found, tmp_path / "a" / "page.html")
    assert Page(page).headings == ["Network", "Pyramid", "Taps", "Layers"]
    assert "Useful weights on a map of 65x65 cells" in page.read_text()


def test_a_network_without_a_pyramid_too(tmp_path):
    model = create_model("lraspp", backbone="test_resnet", num_classes=2)
    page = write_page(inspect_network(model, (1, 3, 65, 65)), tmp_path / "page.html")
    assert Page(page).headings == ["Network", "Output strides", "Layers"]


def test_taps_are_not_drawn_where_nobody_can_see_them(tmp_path):
    found = inspect_network(ASPP(8, 4, rates=(6,)), (1, 8, 64, 161))
    assert "Taps" not in Page(write_page(found, tmp_path / "page.html")).headings


def test_the_page_is_complete_in_itself(path):
    page = Page(path)
    sources = [a[key] for _, a in page.elements for key in ("src", "href") if key in a]
    assert len(sources) > 10
    assert all(source.startswith("data:image/") for source in sources)
    assert not {"script", "i", "link"} - {"i"} & {name for name, _ in page.elements}
    assert not [key for _, attributes in page.elements for key in attributes if key[:2] == "on"]
    assert "&lt;i&gt;small" in path.read_text()
    assert "url(" not in path.read_text()


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    found = inspect_network(ASPP(8, 4, rates=(6,)), (1, 8, 9, 9))
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        write_page(found, tmp_path / "file" / "page.html")


def test_a_browser_opens_it_from_disk_without_a_word(path, browse):
    document, console = browse(path)
    assert "<h2>Layers</h2>" in document
    assert "<script" not in document
    assert console == []


def test_it_fits_a_wide_and_a_narrow_window(path, widths):
    for window, wanted in widths(path):
        assert wanted == window
