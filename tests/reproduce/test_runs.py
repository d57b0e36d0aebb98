import json
import shutil
import signal

import pytest

from atrous.data import ShapesDataset
from atrous.errors import DataError, RecipeError, UsageError
from atrous.evaluate import evaluate
from atrous.reproduce import carry_out, plan
from atrous.train.progress import SilentProgress
from atrous.weights import load_model
from atrous.weights.model_file import read_facts


def _plan(study, out, **options):
    return plan(study, out, **{"data": "shapes", "seeds": 1} | options)


def _files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_plan_goes_through_all_variants_before_the_next_seed(study, tmp_path):
    jobs = _plan(study, tmp_path, seeds=2)
    folders = [job.folder.relative_to(tmp_path).as_posix() for job in jobs]
    assert folders == ["near/seed-0", "far/seed-0", "near/seed-1", "far/seed-1"]
    assert [variant.name for variant in jobs[1].variants] == ["far", "far-dense"]


def test_a_scored_variant_brings_the_training_of_its_weights(study, tmp_path):
    (job,) = _plan(study, tmp_path, variants=study.variants[2:])
    assert job.folder == tmp_path / "far" / "seed-0"
    assert [variant.name for variant in job.variants] == ["far-dense"]


def test_an_output_stride_that_cannot_be_halved_is_refused_before_the_training(study, tmp_path):
    with pytest.raises(UsageError, match=r"far.* use model\.output_stride=8 or more"):
        _plan(study, tmp_path, settings=["model.output_stride=4"])


@pytest.fixture(scope="module")
def trained(study, tmp_path_factory):
    """The folder of a study of which the training that is scored twice is done."""
    out = tmp_path_factory.mktemp("trained")
    (job,) = _plan(study, out, variants=study.variants[1:])
    assert carry_out(job) is None
    return out


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(trained, tmp_path / "copied")


def _scores(out):
    return {
        name: json.loads((out / name / "seed-0.json").read_text()) for name in ("far", "far-dense")
    }


def test_the_weights_are_those_of_the_last_step(trained):
    facts = read_facts(trained / "far" / "seed-0" / "best.safetensors").training
    assert facts["best_step"] == facts["steps"] == 2


def test_each_variant_is_scored_at_its_own_output_stride(trained):
    scores = _scores(trained)
    assert (scores["far"]["output_stride"], scores["far"]["rates"]) == (16, [3])
    assert (scores["far-dense"]["output_stride"], scores["far-dense"]["rates"]) == (8, [6])
    model = load_model(trained / "far" / "seed-0" / "best.safetensors")
    for name, stride in (("far", 16), ("far-dense", 8)):
        model.set_output_stride(stride)
        measured = evaluate(model, ShapesDataset("val", size=(32, 48)), device="cpu")
        assert scores[name]["confusion_matrix"] == measured.matrix.tolist()


def test_what_is_scored_is_left_alone(study, trained):
    before = _files(trained)
    (job,) = _plan(study, trained, variants=study.variants[1:])
    assert not job.unscored
    assert carry_out(job) is None
    assert _files(trained) == before


def test_without_its_score_a_complete_training_is_scored_and_not_trained_anew(study, copied):
    scores, before = _scores(copied), _files(copied)
    (copied / "far" / "seed-0.json").unlink()
    assert carry_out(_plan(study, copied)[1]) is None
    assert _scores(copied) == scores
    changed = {path for path, time in _files(copied).items() if before.get(path) != time}
    assert changed == {copied / "far" / "seed-0.json"}


def test_a_score_without_its_run_directory_is_kept(study, copied):
    shutil.rmtree(copied / "far" / "seed-0")
    assert not _plan(study, copied)[1].unscored


def test_other_settings_than_those_of_a_score_are_refused(study, trained):
    with pytest.raises(RecipeError, match=r"seed-0.json: train.max_steps was 2 and is now 3"):
        _plan(study, trained, settings=["train.max_steps=3"])


def test_a_damaged_score_is_refused(study, copied):
    (copied / "far" / "seed-0.json").write_text("{")
    with pytest.raises(DataError, match=r"seed-0.json: is damaged"):
        _plan(study, copied)


def test_other_data_under_a_complete_run_is_refused(study, trained, monkeypatch):
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 9, "val": 2, "test": 2})
    with pytest.raises(DataError, match="train split had 8 samples"):
        _plan(study, trained)


class _StopAfterOneStep(SilentProgress):
    def step(self, step):
        if step == 1:
            signal.raise_signal(signal.SIGINT)


def test_a_stopped_training_goes_on_and_ends_with_the_same_weights(study, tmp_path):
    stopped, _ = _plan(study, tmp_path / "stopped")
    assert carry_out(stopped, _StopAfterOneStep()) == signal.SIGINT
    assert stopped.unscored
    with pytest.raises(RecipeError, match=r"recipe.yaml: optim.lr was"):
        _plan(study, tmp_path / "stopped", settings=["optim.lr=1"])

    again, _ = _plan(study, tmp_path / "stopped")
    unbroken, _ = _plan(study, tmp_path / "unbroken")
    assert carry_out(again) is None
    assert carry_out(unbroken) is None
    a, b = (read_facts(job.folder / "best.safetensors") for job in (again, unbroken))
    assert a.sha256 == b.sha256


def test_a_training_without_a_checkpoint_begins_anew(study, tmp_path):
    job, _ = _plan(study, tmp_path)
    job.folder.mkdir(parents=True)
    (job.folder / "recipe.yaml").write_text(job.recipe.to_yaml())
    (changed, _) = _plan(study, tmp_path, settings=["train.max_steps=1"])
    assert carry_out(changed) is None
    assert read_facts(job.folder / "best.safetensors").training["steps"] == 1
