"""Calls that run code from files, hide errors, or leave half-written files behind."""

import ast
import re
from collections.abc import Iterator

import pytest

# Where a call is at home, and so allowed.
HOMES = {
    "torch.load": {"models/pretrained.py", "weights/checkpoint_child.py"},
    "torch.save": {"weights/to_peer.py"},
    "Image.open": {"data/images.py", "data/jpeg.py"},
    "import_module": {"__init__.py", "cli/main.py"},
    "writes a file": {"files.py"},
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint"}
CALLS = {
    "os.system",
    "os.popen",
    "os.startfile",
    "torch.save",
    "torch.hub.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "torch.load",
    "Image.open",
}
_WRITING_MODE = re.compile(r"[rbt]*[wax+][rbt+]*")


def faults(code: str) -> Iterator[tuple[int, str]]:
    """Yield (line, what it does) for everything in `code` that needs a home or has none."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from ((node.lineno, f"imports {name}") for name in names & MODULES)
        elif isinstance(node, ast.ImportFrom):
            name = (node.module or "").partition(".")[0]
            if name in MODULES:
                yield node.lineno, f"imports {name}"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _faults_of_call(node))


def _faults_of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in BUILTINS | CALLS:
        yield name
    if name.endswith("import_module"):
        yield "import_module"
    if keywords.get("shell") == "True":
        yield "shell=True"
    if keywords.get("allow_pickle") == "True":
        yield "allow_pickle=True"
    if name == "torch.load" and keywords.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if name == "Image.open" and "formats" not in keywords:
        yield "Image.open without formats"
    if _writes(call, name):
        yield "writes a file"


def _writes(call: ast.Call, name: str) -> bool:
    """Whether a call opens a file for writing, or writes one."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in {"write_text", "write_bytes"}:
        return True
    if name in {"os.fdopen", "os.replace", "os.rename"} or name.startswith("tempfile."):
        return True
    if name.rpartition(".")[2] != "open" or name in {"os.open", "Image.open"}:
        return False
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    words = [value.value for value in values if isinstance(value, ast.Constant)]
    return any(isinstance(word, str) and _WRITING_MODE.fullmatch(word) for word in words)


def test_no_module_does_what_is_forbidden(modules):
    found = [
        f"src/atrous/{module}:{line}: {what}"
        for module, path in modules.items()
        for line, what in faults(path.read_text(encoding="utf-8"))
        if module not in HOMES.get(what, set())
    ]
    assert not found


def test_every_home_is_lived_in(modules):
    for what, homes in HOMES.items():
        for home in homes:
            code = modules[home].read_text(encoding="utf-8")
            assert what in {fault for _, fault in faults(code)}, (home, what)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "imports pickle"),
        ("from pickle import loads", "imports pickle"),
        ("import os, marshal as m", "imports marshal"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("__import__(name)", "__import__"),
        ("os.system('ls')", "os.system"),
        ("subprocess.run('ls', shell=True)", "shell=True"),
        ("np.load(file, allow_pickle=True)", "allow_pickle=True"),
        ("yaml.load(text, Loader=yaml.Loader)", "yaml.load"),
        ("torch.save(state, file)", "torch.save"),
        ("torch.load(file)", "torch.load without weights_only=True"),
        ("torch.load(file, weights_only=False)", "torch.load without weights_only=True"),
        ("torch.load(file, weights_only=True)", "torch.load"),
        ("Image.open(file)", "Image.open without formats"),
        ("Image.open(file, formats=('PNG',))", "Image.open"),
        ("importlib.import_module(name)", "import_module"),
        ("open(path, 'w')", "writes a file"),
        ("open(path, mode='ab')", "writes a file"),
        ("path.open('w', encoding='utf-8')", "writes a file"),
        ("path.open('r+b')", "writes a file"),
        ("path.write_bytes(data)", "writes a file"),
        ("tempfile.mkdtemp()", "writes a file"),
    ],
)
def test_what_is_forbidden_is_found(code, what):
    assert what in [fault for _, fault in faults(code)]


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "path.open('rb')",
        "path.open(encoding='utf-8', newline='')",
        "open(path)",
        "yaml.safe_load(text)",
        "write_text(path, text)",
        "subprocess.run(['ls'])",
    ],
)
def test_what_is_allowed_is_not(code):
    assert not list(faults(code))
