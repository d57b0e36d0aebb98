import json

import pytest

from atrous.cli import main
from atrous.files import write_text
from atrous.recipe import load_recipe

METRICS = "step,loss,val_mean_iou,val_iou/road\n10,1.5,,\n20,0.5,0.4,0.7\n"


@pytest.fixture
def runs(tmp_path):
    """Return the folders of two stopped runs."""
    folders = []
    for name in ("first", "second"):
        folder = tmp_path / name
        recipe = load_recipe("shapes-quick", ["train.max_steps=60"]).to_yaml()
        write_text(folder / "recipe.yaml", recipe)
        write_text(folder / "metrics.csv", METRICS)
        folders.append(folder)
    return folders


def test_a_run_is_summed_up_and_has_its_report(capsys, runs):
    assert main(["inspect", str(runs[0])]) == 0
    output = capsys.readouterr().out
    told = {line.rsplit(maxsplit=1)[0].strip() for line in output.splitlines() if "%" not in line}
    assert "data" in told
    assert "20 of 60" in output
    assert "40.00 %" in output
    assert output.splitlines()[-1] == str(runs[0] / "report.html")
    assert (runs[0] / "report.html").is_file()


def test_two_runs_stand_side_by_side(capsys, runs, tmp_path):
    page = tmp_path / "both.html"
    assert main(["inspect", *map(str, runs), "--html", str(page)]) == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if line.startswith("mIoU"))
    assert row.split() == ["mIoU", "40.00", "%", "40.00", "%"]
    assert output.splitlines()[-1] == str(page)
    assert "<h1>first, second</h1>" in page.read_text()


def test_their_json(capsys, runs):
    assert main(["inspect", *map(str, runs), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content) == [str(run) for run in runs]
    found = content[str(runs[1])]
    assert (found["steps"], found["total_steps"], found["best_step"]) == (20, 60, 20)
    assert (found["mean_iou"], found["class_iou"], found["minutes"]) == (0.4, {"road": 0.7}, None)


def test_the_page_of_one_run_is_its_report(capsys, runs, tmp_path):
    page = tmp_path / "page.html"
    assert main(["inspect", str(runs[0]), "--html", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    assert page.read_bytes() == (runs[0] / "report.html").read_bytes()


def test_what_is_no_run_ends_with_3(capsys, runs, tmp_path):
    assert main(["inspect", str(runs[0]), str(tmp_path)]) == 3
    assert "no run (no recipe.yaml)" in capsys.readouterr().err
