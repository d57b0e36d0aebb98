"""Every recipe that is shipped can be read, and describes a network that can be built."""

import pytest

from atrous.models import create_model
from atrous.recipe import load_recipe, recipe_names


def test_every_file_is_a_recipe(root):
    files = list((root / "src" / "atrous" / "recipes").rglob("*"))
    assert {file.suffix for file in files} == {".yaml"}
    assert sorted(file.stem for file in files) == recipe_names()
    assert len(files) == 3


@pytest.mark.parametrize("name", recipe_names())
def test_its_network_can_be_built(name):
    section = load_recipe(name).model
    keywords = section.model_dump() | {"pretrained_backbone": False}
    model = create_model(**keywords, num_classes=2)
    assert model.output_stride == (section.output_stride or 16)
