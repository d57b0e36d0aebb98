import json
import math

import pytest

from atrous.errors import DataError
from atrous.reproduce import Line, Variant, lines, read_scores


def _line(scores):
    return Line(Variant(name="a", published=60.0), scores, dict.fromkeys(scores, 1.0))


def _score(variant, seed, iou):
    return {"variant": variant, "seed": seed, "mean_iou": iou, "minutes": 2.5, "recipe": {}}


def test_mean_and_deviation_are_those_of_a_sample():
    line = _line({0: 50.0, 1: 52.0, 2: 57.0})
    assert line.mean == 53.0
    assert line.deviation == pytest.approx(math.sqrt((9 + 1 + 16) / 2))


@pytest.mark.parametrize(
    ("scores", "mean"), [({}, math.nan), ({4: 50.0}, 50.0), ({0: 50.0, 1: math.nan}, math.nan)]
)
def test_what_cannot_be_known_is_nan(scores, mean):
    assert _line(scores).mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(_line(scores).deviation)


def test_a_gain_is_between_equal_seeds():
    gain = _line({0: 51.0, 1: 58.0, 3: 99.0}).gain_over(_line({0: 50.0, 1: 55.0, 2: 0.0}))
    assert gain == (2.0, pytest.approx(math.sqrt(2)))
    assert all(map(math.isnan, _line({0: 51.0}).gain_over(_line({1: 50.0}))))


def test_scores_become_lines_in_percent_in_the_order_of_the_study(study):
    scores = [_score("far", 0, 0.25), _score("near", 1, None), _score("near", 0, 0.5)]
    near, far, dense = lines(study, scores)
    assert (near.variant, far.variant, dense.variant) == study.variants
    assert near.scores[0] == 50.0
    assert math.isnan(near.scores[1])
    assert (far.scores, far.minutes, dense.scores) == ({0: 25.0}, {0: 2.5}, {})


def test_the_first_seeds_are_read_as_far_as_they_are_there(study, tmp_path):
    for variant, seed in (("near", 0), ("far", 1), ("near", 2)):
        path = tmp_path / variant / f"seed-{seed}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(_score(variant, seed, 0.5)))
    read = read_scores(study, tmp_path, seeds=2)
    assert [(score["variant"], score["seed"]) for score in read] == [("near", 0), ("far", 1)]


@pytest.mark.parametrize("text", ["{", "[]", '{"recipe": {}}', "3"])
def test_a_damaged_score_is_named(study, tmp_path, text):
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "seed-0.json").write_text(text)
    with pytest.raises(DataError, match=r"near/seed-0\.json: is damaged .*; delete it"):
        read_scores(study, tmp_path, seeds=1)
