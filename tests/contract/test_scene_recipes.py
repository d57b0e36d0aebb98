"""The recipes for scenes and for trying out, each trained for two steps as it is, but smaller."""

import pytest

from atrous.recipe import recipe_names

SCENES = {
    "camvid-lite0": ("camvid", 11),
    "camvid-resnet50": ("camvid", 11),
    "cityscapes-deeplabv3plus-resnet101": ("cityscapes", 19),
    "ade20k-deeplabv3plus-resnet50": ("ade20k", 150),
    "default": ("camvid", 11),
}


@pytest.mark.parametrize(("name", "layout", "classes"), [(n, *SCENES[n]) for n in SCENES])
def test_it_trains(name, layout, classes, dataset, take_two_steps):
    training = take_two_steps(name, dataset(layout))
    assert training.step == training.validated_step == 2
    assert len(training.model.classes) == classes
    assert (training.model.auxiliary is not None) == name.startswith("ade20k")


def test_none_is_left_out():
    names = {name for name in recipe_names() if not name.startswith("voc-")}
    assert names == {*SCENES, "shapes-quick"}


def test_the_made_up_data_trains(take_two_steps, monkeypatch):
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 4, "val": 2, "test": 2})
    assert take_two_steps("shapes-quick", "shapes").step == 2
