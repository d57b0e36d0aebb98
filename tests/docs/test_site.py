"""The site is built without a warning, and can be read from disk without a network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Assets(HTMLParser):
    """Gathers what a browser fetches when it shows a page."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in LOADING and attributes.get("rel") not in {"canonical", "prev", "next"}:
            self.found.append(attributes.get(LOADING[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build it as `make docs` does."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    mkdocs = Path(sys.executable).with_name("mkdocs")
    words = [mkdocs, "build", "--quiet", "--strict", "--site-dir", folder]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return folder


def test_every_page_is_built(site):
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    for page in pages:
        assert (site / page).with_suffix(".html").is_file(), page


def test_every_decision_is_in_the_navigation(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert f'href="decisions/{path.stem}.html"' in page


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        found = Assets(page).found
        assert len(found) > 3, page
        assert [asset for asset in found if "//" in asset] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text("utf-8")), sheet


def test_examples_of_docstrings_are_shown_as_code(site):
    page = (site / "api.html").read_text(encoding="utf-8")
    assert page.count('<span class="gp">&gt;&gt;&gt; </span>') > 50
    assert "<blockquote>" not in page


def test_its_search_works_from_disk(site, browse):
    document, console = browse(site / "index.html", "?q=padding")
    assert re.search(r"\b[1-9]\d* matching documents", document)
    assert console == []


def test_a_browser_opens_it_from_disk_without_a_word(site, browse):
    document, console = browse(site / "explain" / "rates-and-crops.html")
    assert "Why rates and crop must fit" in document
    assert console == []
