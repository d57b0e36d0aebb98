"""Pages and figures that are made from the code are those that the code makes now."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from atrous import data, errors, losses, metrics, nn
from atrous.cli.main import COMMANDS
from atrous.data import ClassEntry
from atrous.train.report import details
from atrous.train.report.page import REPORT
from atrous.weights.model_file import ModelFacts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, DOCS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figures_are_current():
    drawn = script("images/make_figures.py").drawn()
    assert set(drawn) == {path.name for path in (DOCS / "images").glob("*.svg")}
    old = [n for n, text in drawn.items() if (DOCS / "images" / n).read_text("utf-8") != text]
    assert not old, "draw them anew: python docs/images/make_figures.py"


def test_every_figure_is_shown_with_words_for_those_who_cannot_see_it():
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for path in (DOCS / "images").glob("*.svg"):
        shown = re.findall(rf"!\[([^\]]*)\]\((?:\.\./)?images/{path.name}\)", pages)
        assert shown, path.name
        assert all(len(words) > 20 for words in shown), path.name


def test_the_page_of_commands_is_current(monkeypatch):
    monkeypatch.setenv("COLUMNS", "")  # which the script sets, and which goes back after the test
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == script("make_commands.py").page(), "run python docs/make_commands.py"
    assert re.findall(r"^## (\w+)$", written, flags=re.MULTILINE) == list(COMMANDS)


def test_the_page_of_recipe_keys_is_current():
    written = (DOCS / "recipe-keys.md").read_text(encoding="utf-8")
    assert written == script("make_recipe_keys.py").page(), "run python docs/make_recipe_keys.py"
    assert written.count("\n| `") > 70


def test_the_page_of_measurements_is_current():
    written = (DOCS / "measured.md").read_text(encoding="utf-8")
    assert written == script("make_measured.py").page(), "run python docs/make_measured.py"
    commands = re.findall(
        r"^    python -m benchmarks\.(\w+)(?: all)?$", written, flags=re.MULTILINE
    )
    files = (ROOT / "benchmarks" / "results").glob("*.json")  # NAME.json, or NAME-MACHINE.json
    assert commands == sorted(path.stem.partition("-")[0] for path in files)
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in commands)


def test_the_readme_states_the_speeds_that_were_measured():
    file = ROOT / "benchmarks" / "results" / "against_peers-avx512.json"
    ways = json.loads(file.read_text(encoding="utf-8"))["ways"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (torchvision|smp), .*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", readme, re.M
    )
    networks = list(dict.fromkeys(way.partition(":")[0] for way in ways))
    assert len(rows) == len(networks)
    for network, (library, *stated) in zip(networks, rows, strict=True):
        times = {w: row["speedup"] for w, row in ways.items() if w.startswith(f"{network}:")}
        best = max(speed for way, speed in times.items() if f": {library} " in way)
        ours = [times[f"{network}: atrous openvino {precision}"] for precision in ("bf16", "int8")]
        assert stated == [f"{speed:.1f}" for speed in (best, *ours)]


def test_the_page_of_file_formats_names_what_is_written():
    page = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    names = {*ModelFacts.model_fields, *ClassEntry.model_fields, *details._FILES, REPORT}
    assert {name for name in names if f"`{name}" not in page} == set()


def test_the_page_of_exit_codes_has_every_error():
    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.AtrousError):
            assert f"`{name}`" in page
            assert f"| {kind.exit_code} |" in page


@pytest.mark.parametrize("room", [data, losses, metrics, nn], ids=lambda room: room.__name__)
def test_the_page_on_python_has_every_name_of_a_room(room):
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(rf"^::: {room.__name__}\.(\w+)$", page, flags=re.MULTILINE))
    modules = {path.stem for path in Path(room.__path__[0]).iterdir()} - {"geometry"}
    names = {name for name in vars(room) if name[0] != "_"} - modules
    assert described == {name for name in names if hasattr(room, name)}


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    pages = {page for page in pages if not page.startswith("decisions/")}  # which a hook adds
    assert {page for page in pages if f": {page}" not in navigation} == set()
