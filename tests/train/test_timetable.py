import pytest

from atrous.recipe import load_recipe
from atrous.train.schedule import poly
from atrous.train.timetable import Timetable


@pytest.fixture
def timetable():
    def make(*settings, images=40):
        return Timetable(load_recipe("default", settings), images)

    return make


def test_the_length_is_in_epochs_or_steps(timetable):
    by_epochs = timetable("train.epochs=2.5", "train.batch_size=16")
    assert (by_epochs.steps_per_epoch, by_epochs.total_steps) == (2.5, 7)
    assert timetable("train.max_steps=9").total_steps == 9
    assert timetable("train.epochs=0.001").total_steps == 1


def test_accumulated_batches_make_an_epoch_of_fewer_steps(timetable):
    four = timetable("train.epochs=2", "train.batch_size=2", "train.accumulate_steps=4")
    assert (four.steps_per_epoch, four.total_steps) == (5, 10)


def test_validations_and_checkpoints(timetable):
    plan = timetable("train.max_steps=12", "train.checkpoint_every=4")  # 5 steps in an epoch
    assert [step for step in range(13) if plan.validation_is_due(step)] == [5, 10, 12]
    assert [step for step in range(1, 13) if plan.checkpoint_is_due(step)] == [4, 5, 8, 10, 12]


def test_without_a_second_stage_there_is_none(timetable):
    plan = timetable("train.max_steps=10")
    assert plan.second_stage_from is None
    assert not any(plan.is_in_second_stage(step) for step in range(-1, 10))
    assert plan.patience_is_over(10, 0) is False


@pytest.mark.parametrize(("lr", "height"), [("0.0001", 0.2), ("null", 1 / 7)])
def test_the_second_stage_has_a_schedule_of_its_own(timetable, lr, height):
    plan = timetable(
        *("train.max_steps=20", "optim.warmup_steps=2", "optim.lr=0.0005"),
        f"train.second_stage={{from_fraction: 0.6, lr: {lr}}}",
    )
    assert plan.second_stage_from == 12
    assert [plan.is_in_second_stage(step) for step in (-1, 0, 11, 12, 19)] == [0, 0, 0, 1, 1]
    factors = [plan.lr_factor(step) for step in range(20)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[3:12] == pytest.approx([poly((step - 2) / 10) for step in range(3, 12)])
    assert factors[12:] == pytest.approx([height * poly((step - 12) / 8) for step in range(12, 20)])


def test_the_stairs_are_those_of_the_recipe(timetable):
    plan = timetable(
        *("train.max_steps=6", "optim.schedule=step", "optim.step_size=2", "optim.gamma=0.5"),
        "optim.warmup_steps=0",
    )
    assert [plan.lr_factor(step) for step in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_patience_counts_validations_since_the_best(timetable):
    plan = timetable("train.max_steps=40", "train.patience=2")
    over = [step for step in range(0, 40, 5) if plan.patience_is_over(step, min(step, 10))]
    assert over == [20, 25, 30, 35]
    assert not plan.patience_is_over(32, 10)  # where there is no validation, nothing is decided


def test_patience_ends_no_training_before_its_second_stage(timetable):
    plan = timetable("train.max_steps=38", "train.patience=1", "train.second_stage={}")
    over = [step for step in range(39) if plan.patience_is_over(step, 5)]
    assert over == [25, 30, 35, 38]  # the second stage begins at 19
