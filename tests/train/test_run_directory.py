import pytest

from atrous.errors import DataError, UsageError
from atrous.recipe import load_recipe
from atrous.train.run_directory import (
    CHECKPOINTS,
    keep_recipe,
    refuse_existing_run,
    remove_leftovers,
    resume_run,
    unused_folder,
)


def test_a_run_keeps_its_complete_recipe(tmp_path):
    recipe = load_recipe("default", ["optim.lr=0.125"])
    keep_recipe(tmp_path / "run", recipe)
    assert resume_run(tmp_path / "run") == recipe


def test_a_run_is_not_overwritten(tmp_path):
    (tmp_path / CHECKPOINTS).mkdir()
    refuse_existing_run(tmp_path)  # killed before its first checkpoint: nothing to lose
    (tmp_path / CHECKPOINTS / "step-00000001").mkdir()
    with pytest.raises(UsageError, match="holds a run already; add --resume"):
        refuse_existing_run(tmp_path)


def test_there_must_be_a_run_to_resume(tmp_path):
    with pytest.raises(DataError, match="no run to resume"):
        resume_run(tmp_path)


def test_what_a_killed_training_was_writing_is_removed(tmp_path):
    (tmp_path / "checkpoints/.tmp-step-00000005-x").mkdir(parents=True)
    (tmp_path / "checkpoints/.tmp-step-00000005-x/.tmp-state.json-y").touch()
    (tmp_path / "checkpoints/step-00000004").mkdir()
    (tmp_path / ".tmp-metrics.csv-z").touch()
    (tmp_path / "metrics.csv").touch()
    remove_leftovers(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert left == ["checkpoints", "checkpoints/step-00000004", "metrics.csv"]


def test_names_are_counted_up(tmp_path):
    assert unused_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert unused_folder(tmp_path, "a") == tmp_path / "a-3"
