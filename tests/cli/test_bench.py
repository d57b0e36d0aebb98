import json
import subprocess
import sys

import pytest

from atrous.bench import run
from atrous.bench.roofline import fastest_product
from atrous.cli.main import main


@pytest.fixture(autouse=True)
def _small_products(monkeypatch):
    monkeypatch.setattr(run, "fastest_product", lambda name: fastest_product(name, sides=[8]))


def test_a_table_and_files_are_made(tmp_path, capsys, model_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    figures, plot = tmp_path / "figures.json", tmp_path / "plot.svg"
    words = ["--size", "48x64", "--engines", "torch,optimized", "--rounds", "2", "--threads", "1"]
    files = ["--json", str(figures), "--plot", str(plot)]
    assert main(["bench", "--model", model_file, "--against", "smp", *words, *files]) == 0
    said = capsys.readouterr()
    (line,) = [one for one in said.out.splitlines() if one.startswith("atrous optimized fp32")]
    assert "100 %" in line
    ways = "smp eager fp32, smp channels-last fp32, smp channels-last bf16"
    assert f"skipped {ways}: segmentation_models_pytorch is not installed: pip" in said.out
    assert "times: to atrous torch fp32" in said.out
    assert f"wrote {figures}, {plot}" in said.out
    assert "opening atrous optimized bf16" in said.err
    assert "atrous torch fp32" in json.loads(figures.read_text())["ways"]
    assert plot.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engines", "optimised"], "did you mean optimized?"),
        (["--engines", ""], "name at least one engine"),
        (["--precision", "fp8"], "precision 'fp8' is unknown here"),
        (["--against", "torchvison"], "did you mean torchvision?"),
        (["--size", "513"], "--size expects rows x columns"),
        (["--size", "0x5"], "--size expects rows x columns"),
        (["--rounds", "0"], "--rounds must be 1 or more"),
        (["--plot", "plot.png"], "plot.png: a plot is written as .svg"),
        (["--model", "random:torchvision/deeplabv4"], "is unknown; use random:torchvision/"),
        (["--model", "camvid-lite1"], "did you mean camvid-lite0?"),
    ],
)
def test_wrong_words_get_one_line(capsys, words, said):
    assert main(["bench", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert error[0].startswith("error: ")
    assert said in error[0]


def test_the_help_loads_no_torch():
    code = (
        "from atrous.cli.main import main; import sys; main(['bench', '--help']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
