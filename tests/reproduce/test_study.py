from dataclasses import replace

import pytest

from atrous.errors import RecipeError, UsageError
from atrous.reproduce import Variant, recipe_for


def _recipe(study, number, **options):
    return recipe_for(study, study.variants[number], data="shapes", **options)


def test_only_what_the_variant_changes_and_the_seed_differ(study):
    near, far = _recipe(study, 0), _recipe(study, 1, seed=3)
    assert (near.model.rates, far.model.rates) == ((1,), (3,))
    assert (near.train.seed, far.train.seed) == (0, 3)
    alike = {"name": "", "model": near.model, "train": near.train}
    assert near.model_copy(update=alike) == far.model_copy(update=alike)
    assert near.model == far.model.model_copy(update={"rates": (1,)})


def test_a_setting_is_that_of_all_variants_and_a_run_validates_at_its_end_alone(study):
    for number in (0, 1):
        recipe = _recipe(study, number, settings=["train.max_steps=7"])
        assert recipe.train.max_steps == 7
        assert recipe.train.validate_every >= 1e6


def test_a_scaled_rate_is_at_least_one(study):
    tiny = replace(study.shapes, rate_scale=0.01)
    assert _recipe(replace(study, shapes=tiny), 1).model.rates == (1,)


def test_a_crop_is_a_part_of_the_base_recipes(study):
    small = Variant(name="small", published=1.0, crop=321 / 513)
    settings = ["data.crop_size=[360, 480]", "model.rates=[2]"]
    recipe = recipe_for(study, small, data="shapes", settings=settings)
    assert recipe.data.crop_size == (225, 300)
    with pytest.raises(UsageError, match=r"--set data\.crop_size"):
        recipe_for(study, small, data="shapes", settings=["data.crop_size=null"])


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("model.rates=[4]", "the study varies it"),
        ("train.seed=4", "--seeds counts them"),
        ("data.source=x", "--data names it"),
        ("train.weights=camvid-lite0", "in place of the variant's"),
        ("train.validate_every=1", "only the last weights are scored"),
    ],
)
def test_what_the_study_decides_cannot_be_set(study, setting, why):
    with pytest.raises(UsageError, match=why):
        _recipe(study, 0, settings=[setting])


def test_an_unknown_setting_is_refused_as_in_any_recipe(study):
    with pytest.raises(RecipeError, match=r"did you mean train\.max_steps"):
        _recipe(study, 0, settings=["train.max_step=4"])


@pytest.mark.parametrize(("crop", "void"), [("[48, 64]", True), ("[49, 64]", False)])
def test_a_rate_that_leaves_the_map_makes_the_comparison_void(study, crop, void):
    settings = [f"data.crop_size={crop}"]  # 3 x 4 or 4 x 4 cells, for rate 3
    if not void:
        assert _recipe(study, 1, settings=settings).model.rates == (3,)
        return
    with pytest.raises(UsageError, match="far has rate 3, which leaves a map of 3 x 4 cells"):
        _recipe(study, 1, settings=settings)
