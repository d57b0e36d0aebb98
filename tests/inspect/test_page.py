import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from atrous.errors import ResourceError
from atrous.inspect.inspection import inspect_network
from atrous.inspect.page import write_page
from atrous.models import create_model
from atrous.nn import ASPP

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SECTIONS = ["Network", "Pyramid", "Taps", "Effective fields", "Output strides", "Photograph"]
SECTIONS += ["Class activation", "Branches", "Layers"]
FRAMES = """<!doctype html><title>measuring</title>
<iframe src="page.html" style="width:1280px;height:900px"></iframe>
<iframe src="page.html" style="width:420px;height:900px"></iframe>
<script>
onload = () => {
  const roots = [...document.querySelectorAll("iframe")].map(f => f.contentDocument.documentElement)
  document.body.innerHTML = roots.map(r => `<p>${r.clientWidth} ${r.scrollWidth}</p>`).join("")
}
</script>
"""


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


def browse(path, profile):
    """Return the document as the browser sees it, and what it wrote to its console."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files")
    quiet = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")
    result = subprocess.run(
        [
            *(CHROMIUM, *options, *quiet, f"--user-data-dir={profile}"),
            *("--enable-logging=stderr", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed")
def test_a_browser_opens_it_from_disk_without_a_word(path, tmp_path):
    document, console = browse(path, tmp_path)
    assert "<h2>Layers</h2>" in document
    assert "<script" not in document
    assert console == []


@pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed")
def test_it_fits_a_wide_and_a_narrow_window(path, tmp_path):
    frames = path.with_name("frames.html")
    frames.write_text(FRAMES)
    document, console = browse(frames, tmp_path)
    widths = [line.split() for line in document.partition("<body>")[2].split("<p>")[1:]]
    assert [int(wanted.partition("<")[0]) for _, wanted in widths] == [
        int(client) for client, _ in widths
    ]
    assert len(widths) == 2
    assert console == []
