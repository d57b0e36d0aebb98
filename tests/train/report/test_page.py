import shutil
from html.parser import HTMLParser

import pytest

from atrous.errors import RecipeError, ResourceError
from atrous.train.report import write_report

SECTIONS = [
    "Curves",
    "Classes",
    "Classes over time",
    "Confusion",
    "Images",
    "Commands",
    "Environment",
    "Recipe",
    "Files",
]
_VOID = {"meta", "img"}


class Page(HTMLParser):
    """Reads a page as a browser does, and sees to it that every element is closed in its turn."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.headings, self.text = [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in _VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_a_finished_run_has_every_section(finished_run, evaluation, ranking):
    path = write_report(finished_run, evaluation=evaluation, ranking=ranking)
    assert path == finished_run / "report.html"
    assert Page(path).headings == SECTIONS
    assert path.stat().st_size < 3_000_000


def test_a_stopped_run_has_what_there_is(stopped_run):
    headings = Page(write_report(stopped_run, facts={"processor": "slow"})).headings
    assert headings == [name for name in SECTIONS if name != "Confusion"]


def test_a_run_that_only_began_has_its_recipe(stopped_run):
    shutil.rmtree(stopped_run / "preview")
    for name in ("metrics.csv", "speed.csv"):
        (stopped_run / name).unlink()
    assert Page(write_report(stopped_run)).headings == ["Commands", "Recipe", "Files"]


def test_hostile_names_stay_text(finished_run, evaluation, ranking):
    page = Page(write_report(finished_run, evaluation=evaluation, ranking=ranking))
    assert "<script>alert(1)</script>" in page.text
    assert '"><img src=x onerror=alert(2)>' in page.text
    assert not {"script", "iframe", "object", "embed", "link", "form", "u"} & {
        name for name, _ in page.elements
    }
    assert not [key for _, attributes in page.elements for key in attributes if key[:2] == "on"]


def test_the_page_is_complete_in_itself(finished_run, evaluation, ranking):
    path = write_report(finished_run, evaluation=evaluation, ranking=ranking)
    page = Page(path)
    sources = [attributes["src"] for _, attributes in page.elements if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not [attributes for _, attributes in page.elements if "href" in attributes]
    assert "url(" not in path.read_text()
    assert "@import" not in path.read_text()
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_same_run_gives_the_same_bytes(finished_run, evaluation, ranking):
    first = write_report(finished_run, evaluation=evaluation, ranking=ranking).read_bytes()
    again = write_report(finished_run, evaluation=evaluation, ranking=ranking).read_bytes()
    assert first == again


def test_dollars_in_a_recipe_stay_dollars(stopped_run):
    file = stopped_run / "recipe.yaml"
    recipe = file.read_text().replace("name: shapes-quick", "name: $style $title")
    file.write_text(recipe)
    assert "$style $title" in Page(write_report(stopped_run)).text


def test_a_report_that_cannot_be_written_leaves_the_old_one(stopped_run, monkeypatch):
    before = write_report(stopped_run).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match=r"report\.html"):
        write_report(stopped_run, facts={"processor": "other"})
    assert (stopped_run / "report.html").read_bytes() == before
    assert not list(stopped_run.glob(".tmp-*"))


def test_a_folder_that_is_no_run_gets_no_page(tmp_path):
    with pytest.raises(RecipeError):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
