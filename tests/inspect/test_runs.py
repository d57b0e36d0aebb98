import math

import pytest

from atrous.errors import DataError
from atrous.files import write_text
from atrous.inspect.runs import is_run, lines, report_of, side_by_side, summarise, write_comparison
from atrous.models import create_model
from atrous.recipe import load_recipe
from atrous.train.report import write_report
from atrous.weights import save_model

METRICS = """step,epoch,loss,lr,val_mean_iou,val_pixel_accuracy,val_iou/road
10,0.5,1.5,0.004,,,
20,1.0,0.5,0.002,0.4,0.8,0.7
30,1.5,0.4,0.001,0.3,0.7,0.6
"""


def run_in(folder, metrics=METRICS):
    settings = ["data.source=my photos", "train.max_steps=60"]
    write_text(folder / "recipe.yaml", load_recipe("shapes-quick", settings).to_yaml())
    if metrics:
        write_text(folder / "metrics.csv", metrics)
    return folder


@pytest.fixture
def stopped(tmp_path):
    """Return a run that was stopped after 30 of 60 steps."""
    return run_in(tmp_path / "first")


def test_a_stopped_run_in_a_few_figures(stopped):
    run = summarise(stopped)
    assert (run.steps, run.total_steps, run.best_step, run.minutes) == (30, 60, 20, None)
    assert (run.mean_iou, run.pixel_accuracy) == (0.4, 0.8)
    assert run.class_iou == {"road": 0.7}
    told = dict(lines(run))
    assert told["steps"] == "30 of 60"
    assert told["mIoU"] == "40.00 %"
    assert told["IoU road"] == "70.00 %"
    assert told["minutes"] == "n/a"


def test_a_finished_run_knows_its_minutes(stopped):
    model = create_model("deeplabv3", backbone="lcnet_035", classes=("road",))
    facts = {"steps": 60, "minutes": 125.0}
    save_model(model, stopped / "best.safetensors", training=facts)
    told = dict(lines(summarise(stopped)))
    assert (told["steps"], told["minutes"]) == ("60", "125.0")


def test_a_run_that_only_began(tmp_path):
    run = summarise(run_in(tmp_path / "new", metrics=""))
    assert (run.steps, run.best_step) == (0, None)
    assert math.isnan(run.mean_iou)
    assert dict(lines(run))["mIoU"] == "n/a"


def test_what_is_no_run_is_told(tmp_path):
    assert not is_run(tmp_path)
    with pytest.raises(DataError, match=r"no run \(no recipe\.yaml\)"):
        summarise(tmp_path)


def test_a_report_is_written_where_it_is_missing_and_kept_where_it_is(stopped):
    path = report_of(summarise(stopped))
    assert path == stopped / "report.html"
    assert "<h2>Curves</h2>" in path.read_text()
    path.write_text("kept")
    assert report_of(summarise(stopped)).read_text() == "kept"


def test_a_report_that_is_behind_its_run_is_written_anew(stopped):
    path = report_of(summarise(stopped))
    with (stopped / "metrics.csv").open("a") as file:
        file.write("40,2.0,0.3,0.001,0.5,0.8,0.9\n")
    assert "step 40" not in path.read_text()
    assert "step 40" in report_of(summarise(stopped)).read_text()


def test_a_report_that_is_ahead_of_the_log_is_kept(stopped):
    facts = {"steps": 37, "processor": "of the stop"}  # the log has each tenth step
    write_report(stopped, facts=facts)
    assert "of the stop" in report_of(summarise(stopped)).read_text()


def test_runs_stand_side_by_side(stopped, tmp_path):
    other = run_in(
        tmp_path / "other", METRICS.replace("road", "<b>car").replace("0.4,0.8", "0.5,0.9")
    )
    rows = {
        name: figures for name, *figures in side_by_side([summarise(stopped), summarise(other)])
    }
    assert rows["mIoU"] == ["40.00 %", "50.00 %"]
    assert rows["IoU road"] == ["70.00 %", "n/a"]
    assert rows["IoU <b>car"] == ["n/a", "70.00 %"]


def test_the_page_of_two_runs_has_both_curves(stopped, tmp_path):
    other = run_in(tmp_path / "other", METRICS.replace("\n20,", "\n25,").replace("road", "<b>car"))
    page = write_comparison([summarise(stopped), summarise(other)], tmp_path / "page.html")
    text = page.read_text()
    assert "<h1>first, other</h1>" in text
    assert "step 20: first 0.5" in text
    assert "step 25: other 0.5" in text
    assert "step 30: first 0.4, other 0.4" in text
    assert "<b>car" not in text
    assert text.count('<figure class="chart"') == 6


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    runs = [summarise(run_in(tmp_path / parent / "run")) for parent in ("a", "b")]
    text = write_comparison(runs, tmp_path / "page.html").read_text()
    assert f"<h1>{tmp_path}/a/run, {tmp_path}/b/run</h1>" in text
