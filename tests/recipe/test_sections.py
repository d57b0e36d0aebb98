import yaml

from atrous.recipe import Recipe, load_recipe, recipe_names


def test_every_shipped_recipe_loads_and_survives_a_round_trip(tmp_path):
    names = recipe_names()
    assert names == ["camvid-lite0", "default", "shapes-quick"]
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
