"""The shape of the tree: rooms, file lengths, names, and a test beside every module."""

import ast
import re

MOST_LINES = 320
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "misc", "common", "tools", "stuff"}

# Modules without a test file of their own, and why.
UNTESTED = {
    "__main__.py": "calls cli.main",
    "cli/options.py": "annotations, seen in the tests of the commands",
    "data/sample.py": "two type declarations",
}


def test_every_module_has_its_tests(modules, root):
    lacking = {
        module
        for module in modules
        if not module.endswith("__init__.py")
        and not (root / "tests" / module).with_name(f"test_{module.rpartition('/')[2]}").is_file()
    }
    assert lacking == set(UNTESTED)


def test_every_test_is_beside_a_module(modules, root):
    # Rules and contracts hold for all modules; what needs a data set is named after it.
    homeless = {
        path.relative_to(root / "tests").as_posix()
        for path in (root / "tests").rglob("test_*.py")
        if path.parent.name not in {"rules", "contract", "faults", "numerics", "examples", "docs"}
        and path.relative_to(root / "tests").with_name(path.name[5:]).as_posix() not in modules
    }
    assert homeless <= {"evaluate/test_camvid.py"}


def test_no_file_is_long(modules):
    lengths = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in modules.items()
    }
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_has_an_empty_name(modules):
    words = {word for module in modules for word in re.split(r"[/_.]", module)}
    assert not words & EMPTY_WORDS


def test_every_module_begins_with_what_it_is(modules):
    for module, path in modules.items():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, module
        assert docstring.splitlines()[0].endswith("."), module
