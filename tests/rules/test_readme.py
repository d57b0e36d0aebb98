"""What the README names is there; tests/docs runs what it shows."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_files_that_it_names_are_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_its_commands_exist():
    from atrous.cli.main import COMMANDS

    used = set(re.findall(r"^    atrous (\w+)", README, flags=re.MULTILINE))
    assert used == set(COMMANDS)


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) - {"and"} <= targets
    assert {"setup", "demo", "check", "test", "docs", "bench", "soak"} <= targets


def test_the_map_of_the_house_is_that_of_the_import_rule():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = rules["tool"]["importlinter"]["contracts"][0]["layers"]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = "".join(re.findall(r"^    +((?:cli/|>).*)$", text, flags=re.MULTILINE))
    rooms = [re.sub(r"/|\.py", "", room).replace(", ", " | ").strip() for room in shown.split(">")]
    assert rooms == layers
