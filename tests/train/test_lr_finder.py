import pytest

from atrous.errors import DivergedError
from atrous.train.lr_finder import LrCurve, find_lr


def test_the_suggestion_is_where_the_loss_falls_fastest():
    assert LrCurve([0.01, 0.1, 1.0, 10.0], [3.0, 2.9, 1.0, 2.0]).suggestion == 0.1
    assert LrCurve([0.01], [3.0]).suggestion == 0.01
    losses = [3.0] * 10 + [3 - 0.2 * step for step in range(6)] + [2.0] * 24
    assert LrCurve([float(step) for step in range(40)], losses).suggestion == 12


def test_the_rate_grows_until_the_loss_runs_away(tiny_recipe):
    taken = []
    curve = find_lr(
        tiny_recipe("optim.name=sgd", "data.flip=0"),
        steps=24,
        lowest=1e-4,
        highest=1e4,
        on_step=taken.append,
    )
    assert 4 < len(curve.rates) < 24
    assert taken == list(range(1, len(curve.rates) + 1))
    ratios = [later / rate for rate, later in zip(curve.rates, curve.rates[1:], strict=False)]
    assert ratios == pytest.approx([1e8 ** (1 / 23)] * len(ratios))
    assert curve.rates[0] == 1e-4
    assert max(curve.losses) <= 4 * curve.losses[0]


def test_it_is_the_same_every_time_and_at_a_rate_of_nothing_learns_nothing(tiny_recipe):
    recipe = tiny_recipe("model.dropout=0.5", "train.freeze_batch_norm=true")
    curve = find_lr(recipe, steps=3)
    assert find_lr(recipe, steps=3) == curve
    still = find_lr(recipe, steps=3, lowest=1e-30, highest=1e-30)
    assert still.losses[0] == curve.losses[0]
    assert still.losses[2] == pytest.approx(curve.losses[2], rel=1e-2)


def test_a_loss_that_is_never_finite_is_told(tiny_recipe, monkeypatch):
    monkeypatch.setattr(
        "atrous.train.lr_finder._losses", lambda recipe, rates: iter([float("nan")])
    )
    with pytest.raises(DivergedError, match=r"not finite at optim\.lr=1e-06 already"):
        find_lr(tiny_recipe())
