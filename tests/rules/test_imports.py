"""What may import what, and how little `import atrous` loads."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "fastapi",
    "lightning",
    "matplotlib",
    "numba",
    "numpy",
    "onnx",
    "onnxruntime",
    "PIL",
    "pydantic",
    "pytorch_lightning",
    "rich",
    "tensorboard",
    "timm",
    "torch",
    "torchvision",
}


def test_imports_point_down_the_house_only(root):
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import atrous", set()),
        ("import atrous.errors", set()),
        ("import atrous.files", set()),
        ("import atrous.cli", {"rich"}),
        ("import atrous.recipe", {"pydantic"}),
    ],
)
def test_an_import_loads_little(statement, allowed):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "atrous" in loaded
    assert loaded & HEAVY <= allowed


def test_what_is_heavy_would_be_seen():
    code = "import numpy, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout.split()
