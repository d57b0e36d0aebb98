import pytest

from atrous.models import create_model
from atrous.reproduce import STUDIES, recipe_for

CASES = [
    (study, variant, data)
    for study in STUDIES.values()
    for variant in study.variants
    for data in ("my-photos", "shapes")
    if not variant.weights_of
]


@pytest.mark.parametrize(
    ("study", "variant", "data"), CASES, ids=lambda case: getattr(case, "name", case)
)
def test_every_training_has_a_recipe_whose_network_can_be_built(study, variant, data):
    recipe = recipe_for(study, variant, data=data)
    settings = recipe.model.model_dump() | {"pretrained_backbone": False}
    model = create_model(num_classes=3, **settings)
    assert model.rates == recipe.model.rates
    for scored in study.variants:
        if scored.trained_as == variant.name:
            model.set_output_stride(recipe.model.output_stride // scored.denser)


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_names_are_unique_and_weights_are_of_a_variant(study):
    names = [variant.name for variant in study.variants]
    assert len(set(names)) == len(names) > 1
    trained = {variant.name for variant in study.variants if not variant.weights_of}
    assert {variant.trained_as for variant in study.variants} == trained


def test_the_published_figures_are_those_of_the_papers():
    published = {
        name: [variant.published for variant in study.variants] for name, study in STUDIES.items()
    }
    assert published == {
        "large-fov-vs-aspp": [65.76, 66.98, 68.96],
        "output-stride": [77.21, 78.51],
        "v3-ladder": [75.36, 75.93, 76.58, 76.46, 77.21],
        "crop-size": [67.22, 77.21],
    }


def test_the_heads_of_v2_have_the_papers_rates_on_photographs():
    study = STUDIES["large-fov-vs-aspp"]
    rates = [recipe_for(study, variant, data="x").model.rates for variant in study.variants]
    assert rates == [(12,), (2, 4, 8, 12), (6, 12, 18, 24)]
