import json

import pytest
import yaml
from pydantic import ValidationError

from atrous.errors import RecipeError
from atrous.recipe import Expected, Recipe, load_recipe, recipe_names


def test_every_shipped_recipe_loads_and_survives_a_round_trip(tmp_path):
    names = recipe_names()
    assert {"camvid-lite0", "default", "shapes-quick"} <= set(names)
    for name in names:
        recipe = load_recipe(name)
        file = tmp_path / f"{name}.yaml"
        file.write_text(recipe.to_yaml())
        assert load_recipe(file) == recipe
        assert recipe.name == name


def test_the_written_recipe_names_every_value():
    written = yaml.safe_load(Recipe().to_yaml())
    for section in ("model", "data", "loss", "optim", "train"):
        assert set(written[section]) == set(type(getattr(Recipe(), section)).model_fields)


def test_a_section_within_a_section_survives_a_round_trip(tmp_path):
    recipe = load_recipe("default", ["train.second_stage={lr: 0.001}", "train.freeze=[layer1]"])
    assert recipe.train.second_stage.output_stride == 8
    file = tmp_path / "mine.yaml"
    file.write_text(recipe.to_yaml())
    assert load_recipe(file) == recipe


SCORE = {
    "mean_iou": 77.21,
    "data": "Pascal VOC 2012",
    "settings": "output stride 16, one scale",
    "measured_by": "the paper",
    "source": "arXiv:1706.05587, table 5",
}


def test_an_expected_score_says_where_it_is_from():
    row = Expected(**SCORE)
    assert (row.split, row.differs) == ("val", "")
    for key in ("mean_iou", "data", "settings", "measured_by", "source"):
        with pytest.raises(ValidationError, match=key):
            Expected(**{name: value for name, value in SCORE.items() if name != key})
    with pytest.raises(ValidationError, match="source"):
        Expected(**SCORE | {"source": ""})


@pytest.mark.parametrize("mean_iou", [-1, 100.1, "high"])
def test_an_expected_score_is_in_percent(mean_iou):
    with pytest.raises(ValidationError, match="mean_iou"):
        Expected(**SCORE | {"mean_iou": mean_iou})


def test_a_misspelt_key_of_an_expected_score_is_named():
    with pytest.raises(RecipeError, match=r"expected\.0\.sourse; did you mean expected\.0\.source"):
        load_recipe("default", [f"expected={json.dumps([SCORE | {'sourse': 'x'}])}"])
