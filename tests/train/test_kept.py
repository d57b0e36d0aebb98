import pytest

from atrous.errors import DataError, DivergedError, ResourceError
from atrous.train.kept import Kept


def _said(folder, error):
    """Return the message of an error that ends the training in a folder."""
    with pytest.raises(type(error)) as caught:
        _end(folder, error)
    return str(caught.value)


def _end(folder, error):
    with Kept() as kept:
        kept.folder = folder
        raise error


@pytest.mark.parametrize("kind", [ResourceError, DivergedError])
def test_what_is_not_there_is_not_promised(tmp_path, kind):
    assert _said(tmp_path, kind("it is over")) == "it is over"


def test_the_newest_checkpoint_is_named(tmp_path):
    for step in (500, 1000):
        (tmp_path / f"checkpoints/step-{step:08d}").mkdir(parents=True)
    said = _said(tmp_path, ResourceError("the disk is full"))
    assert said == "the disk is full; step 1000 is saved: --resume goes on from it"


def test_a_training_that_diverged_is_not_sent_back_into_the_same(tmp_path):
    (tmp_path / "checkpoints/step-00000500").mkdir(parents=True)
    best = tmp_path / "best.safetensors"
    best.touch()
    said = _said(tmp_path, DivergedError("the loss became nan"))
    weights = f"--set train.weights={best} starts from the best so far"
    assert said == f"the loss became nan; {weights}"


def test_other_errors_pass(tmp_path):
    (tmp_path / "checkpoints/step-00000500").mkdir(parents=True)
    assert _said(tmp_path, DataError("no such folder")) == "no such folder"
