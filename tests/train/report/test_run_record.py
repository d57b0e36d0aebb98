import pytest

from atrous.errors import DataError, RecipeError
from atrous.files import write_text
from atrous.train.report.run_record import read_run


def test_a_finished_run_knows_what_its_model_file_says(finished_run):
    run = read_run(finished_run, {"python": "3.11"})
    assert (run.steps, run.total_steps) == (60, 60)
    assert run.facts["minutes"] == 125
    assert run.facts["python"] == "3.11"
    assert run.palette["road"] == (128, 64, 128)
    assert run.recipe.data.source == "my photos"


def test_a_stopped_run_knows_its_last_row(stopped_run):
    run = read_run(stopped_run)
    assert (run.steps, run.total_steps, run.palette) == (30, 60, {})
    assert [row["step"] for row in run.validations] == [20, 30]
    assert run.best == run.rows[1]
    assert "val_mean_iou" not in run.rows[0]
    assert run.rows[0]["images_per_second"] == 20.5


def test_what_the_caller_knows_goes_first(stopped_run):
    run = read_run(stopped_run, {"steps": 33, "total_steps": 90})
    assert (run.steps, run.total_steps) == (33, 90)


def test_a_run_that_only_began_has_no_rows(stopped_run):
    for name in ("metrics.csv", "speed.csv"):
        (stopped_run / name).unlink()
    run = read_run(stopped_run)
    assert (run.rows, run.steps, run.best) == ((), 0, None)


def test_a_validation_without_a_score_is_none(stopped_run):
    write_text(stopped_run / "metrics.csv", "step,val_mean_iou\n5,nan\n")
    assert read_run(stopped_run).best is None


@pytest.mark.parametrize("text", ["step,loss\n1,much\n", "step,loss\n1,2,3\n"])
def test_a_damaged_log_is_named(stopped_run, text):
    write_text(stopped_run / "metrics.csv", text)
    with pytest.raises(DataError, match=r"metrics\.csv: not the numbers of a training"):
        read_run(stopped_run)


def test_a_folder_without_a_recipe_is_no_run(tmp_path):
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        read_run(tmp_path)
