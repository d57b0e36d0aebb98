"""What the README shows must run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_it_has_code_to_run():
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_its_python_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    exec(compile(BLOCKS[block], "README.md", "exec"), {})  # noqa: S102, our own README
    assert any(path.suffix in {".png", ".safetensors"} for path in tmp_path.iterdir())


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
