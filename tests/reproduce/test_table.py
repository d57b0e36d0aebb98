import json

import pytest

from atrous.reproduce import write_results
from atrous.reproduce.scores import lines
from atrous.reproduce.table import HEADER, rows

RECIPE = {
    "model": {"backbone": "lcnet_035"},
    "data": {"val_split": "val", "crop_size": [64, 64]},
    "train": {"batch_size": 2, "seed": 0, "device": "cpu"},
    "optim": {"lr": 0.1},
}


def _score(variant, seed, iou, **changes):
    score = {"variant": variant, "seed": seed, "mean_iou": iou, "minutes": 2.5, "recipe": RECIPE}
    score |= {"dataset": "shapes", "images": 6, "steps": 2}
    return score | {"processor": "a CPU", "torch": "2", "atrous": "0.1"} | changes


@pytest.fixture
def scores():
    return [
        _score("near", 0, 0.5),
        _score("near", 1, 0.54, processor="a GPU"),
        _score("far", 0, 0.51),
        _score("far", 1, 0.57),
    ]


def test_every_cell_says_what_it_should(study, scores):
    table = rows(lines(study, scores))
    assert {len(row) for row in table} == {len(HEADER)}
    assert table[0] == ("near", "60.00", "", "52.00 ± 2.83", "", "50.00 54.00", "2.5 2.5")
    assert table[1][1:5] == ("62.50", "+2.50", "54.00 ± 4.24", "+2.00 ± 1.41")
    assert table[2] == ("far-dense", "63.00", "+3.00", "-", "-", "-", "-")


def test_one_seed_has_no_spread(study, scores):
    table = rows(lines(study, scores[::2]))
    assert (table[0][3], table[1][3:5]) == ("50.00", ("51.00", "+1.00"))


def test_the_results_are_three_files(study, scores, tmp_path):
    for score in scores:
        path = tmp_path / score["variant"] / f"seed-{score['seed']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(score))
    written = write_results(study, tmp_path, seeds=2)
    assert [path.name for path in written] == ["table.md", "table.json", "table.svg"]
    text = written[0].read_text()
    assert "| near | 60.00 |  | 52.00 ± 2.83 |  | 50.00 54.00 | 2.5 2.5 |" in text
    assert "arXiv:0000.00000, table 1" in text
    assert "a CPU, a GPU" in text
    assert "last weights" in text
    facts = json.loads(written[1].read_text())
    assert facts["backbone"] == "lcnet_035"
    assert facts["settings"] == {**RECIPE, "train": {"batch_size": 2, "device": "cpu"}}
    near, far, dense = facts["variants"]
    assert (near["mean"], near["standard_deviation"], near["scores"]) == (
        52,
        2.8284,
        {"0": 50, "1": 54},
    )
    assert (far["gain"], dense["mean"], dense["scores"]) == (2, None, {})
    assert written[2].read_text().startswith("<svg ")


def test_without_a_score_nothing_is_written(study, tmp_path):
    assert write_results(study, tmp_path, seeds=3) == []
    assert list(tmp_path.iterdir()) == []
