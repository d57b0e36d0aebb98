import pytest
import torch

from atrous.errors import DataError, RecipeError
from atrous.recipe import Recipe, load_recipe
from atrous.train.same_recipe import (
    HARMLESS,
    differences,
    refuse_other_recipe,
    surroundings,
)

SECTIONS = ("model", "data", "loss", "optim", "train")


def _keys():
    for name, field in Recipe.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        yield from [name] if inner is None else [f"{name}.{key}" for key in inner]


def _dump(recipe):
    return recipe.model_dump(mode="json")


def _with(key, value):
    """Return a recipe as JSON with one key changed, whether the value is allowed or not."""
    values = _dump(Recipe())
    section, _, name = key.rpartition(".")
    (values[section] if section else values)[name] = value
    return Recipe.model_construct(**values)


def test_every_harmless_key_is_one():
    assert set(_keys()) >= HARMLESS


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("key", sorted(_keys()))
def test_every_key_is_either_harmless_or_refused_by_its_name(key):
    changed = _with(key, "another")
    if key in HARMLESS:
        refuse_other_recipe(_dump(Recipe()), changed, where="run")
    else:
        with pytest.raises(RecipeError, match=rf"^run: {key} was .* and is now another; .*--out"):
            refuse_other_recipe(_dump(Recipe()), changed, where="run")


def test_all_differences_are_listed():
    now = load_recipe("default", ["optim.lr=0.25", "train.seed=5", "data.workers=7"])
    before = _dump(load_recipe("default"))
    with pytest.raises(
        RecipeError, match=r"optim\.lr was .* is now 0\.25; train\.seed was 0"
    ) as error:
        refuse_other_recipe(before, now, where="run")
    assert "workers" not in str(error.value)


def test_a_section_that_comes_or_goes_is_a_difference():
    stage = load_recipe("default", ["train.second_stage={output_stride: 8}"])
    with pytest.raises(RecipeError, match=r"train\.second_stage"):
        refuse_other_recipe(_dump(Recipe()), stage, where="run")


def test_a_recipe_of_another_version_is_said_to_be_one():
    before = _dump(Recipe()) | {"novelty": 1}
    with pytest.raises(DataError, match="another version of atrous"):
        refuse_other_recipe(before, Recipe(), where="run")


def test_what_changed_around_a_run_is_told():
    now = surroundings(torch.device("cpu"), "fp32")
    assert differences(now, now) == ""
    assert differences(now | {"torch": "1.0"}, now) == (
        f"torch was 1.0 and is now {torch.__version__}"
    )


def test_with_patience_validations_decide_the_end():
    before = load_recipe("default", ["train.patience=3"])
    now = load_recipe("default", ["train.patience=3", "train.validate_every=0.5"])
    with pytest.raises(RecipeError, match=r"train\.validate_every was 1\.0 and is now 0\.5"):
        refuse_other_recipe(_dump(before), now, where="run")


def test_the_precision_that_auto_came_to_and_the_versions_are_known():
    found = surroundings(torch.device("cpu"), "auto")
    assert found["precision"] in {"32-true", "bf16-mixed"}
    assert {"numpy", "pillow", "timm", "torch", "atrous"} < found.keys()
