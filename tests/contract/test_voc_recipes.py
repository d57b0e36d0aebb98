"""The recipes for Pascal VOC, each trained for two steps as it is, on smaller crops."""

import pytest
import torch

from atrous.recipe import recipe_names

STRIDES = {
    "voc-deeplabv1-vgg16": 8,
    "voc-deeplabv2-vgg16-aspp-l": 8,
    "voc-deeplabv2-resnet101": 8,
    "voc-deeplabv3-resnet50": 16,
    "voc-deeplabv3-mobilenetv3": 16,
    "voc-deeplabv3plus-resnet101": 16,
}
TWO_STAGES = "voc-deeplabv3-resnet101"


@pytest.fixture(scope="module")
def voc(dataset):
    return dataset("voc")


def test_none_is_left_out():
    names = {name for name in recipe_names() if name.startswith("voc-")}
    assert names == {*STRIDES, TWO_STAGES}


@pytest.mark.parametrize("name", STRIDES)
def test_it_trains(name, voc, take_two_steps):
    training = take_two_steps(name, voc)
    assert training.step == training.validated_step == 2
    assert training.model.output_stride == STRIDES[name]
    assert len(training.model.classes) == 21


def test_the_second_stage_of_v3_is_denser_and_begins_anew_with_frozen_norms(voc, take_two_steps):
    training = take_two_steps(TWO_STAGES, voc)
    assert training.step == training.validated_step == 2
    assert training.timetable.second_stage_from == 1
    assert training.timetable.lr_factor(1) == pytest.approx(0.001 / 0.007)
    model = training.model
    assert (training.recipe.model.output_stride, model.output_stride) == (16, 8)
    assert model.rates == (12, 24, 36)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    assert {norm.momentum for norm in norms} == {0.0003}
