import pytest
import torch
from torch import nn

from atrous.data import open_dataset
from atrous.errors import UsageError
from atrous.models import create_model
from atrous.train.network import build_network, enter_stage, join_norms
from atrous.train.processes import ALONE, World
from atrous.weights import save_model

CPU = torch.device("cpu")
SHAPES = open_dataset("shapes", "train", size=(32, 48))


def _built(recipe):
    torch.manual_seed(0)
    return build_network(recipe, SHAPES, CPU)


def test_it_is_that_of_the_recipe_for_the_classes_of_the_data(tiny_recipe):
    model = _built(tiny_recipe("model.aux_head=true"))
    assert model.classes == SHAPES.classes
    assert model.palette == SHAPES.palette
    assert model.rates == (1, 2)
    assert model.auxiliary is not None
    assert model.backbone.network.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_second_stage_is_denser_with_frozen_norms_and_the_same_weights(tiny_recipe):
    recipe = tiny_recipe("model.output_stride=16", "train.second_stage={output_stride: 8}")
    model = _built(recipe)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert enter_stage(model, recipe, CPU, second=False) == []
    assert (model.output_stride, model.rates) == (16, (1, 2))
    frozen = enter_stage(model, recipe, CPU, second=True)
    assert (model.output_stride, model.rates) == (8, (2, 4))
    assert len(frozen) > 20
    assert not any(p.requires_grad for layer in frozen for p in layer.parameters())
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_its_batch_norms_may_learn_on(tiny_recipe):
    recipe = tiny_recipe("train.second_stage={freeze_batch_norm: false}", "train.freeze=[backbone]")
    model = _built(recipe)
    assert enter_stage(model, recipe, CPU, second=True) == [model.backbone]


def test_batch_norms_that_are_frozen_stay_so_in_the_second_stage(tiny_recipe):
    recipe = tiny_recipe(
        "train.second_stage={freeze_batch_norm: false}", "train.freeze_batch_norm=true"
    )
    model = _built(recipe)
    first = enter_stage(model, recipe, CPU, second=False)
    assert len(first) > 20
    assert enter_stage(model, recipe, CPU, second=True) == first


@pytest.mark.parametrize(("setting", "momentum"), [("null", 0.1), ("0.0003", 0.0003)])
def test_batch_norms_follow_a_batch_as_much_as_the_recipe_says(tiny_recipe, setting, momentum):
    model = _built(tiny_recipe(f"train.batch_norm_momentum={setting}"))
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {momentum}
    assert any(norm in model.backbone.modules() for norm in norms)
    assert any(norm in model.pyramid.modules() for norm in norms)


def test_a_second_stage_that_cannot_be_is_refused_before_the_first(tiny_recipe):
    with pytest.raises(UsageError, match="of its own, got 32"):
        _built(
            tiny_recipe(
                *("model.backbone=vgg16", "model.architecture=deeplabv2"),
                *("model.separable=false", "model.rates=null"),
                "train.second_stage={output_stride: 32}",
            )
        )


def test_it_can_start_from_a_model_with_other_classes(tiny_recipe, tmp_path):
    old = create_model("deeplabv3", backbone="lcnet_035", classes=("ground", "moon"), rates=(1, 2))
    file = save_model(old, tmp_path / "old.safetensors")
    said = []
    model = build_network(tiny_recipe(f"train.weights={file}"), SHAPES, CPU, say=said.append)
    assert model.classes == SHAPES.classes
    ground = SHAPES.classes.index("ground")
    assert torch.equal(model.classifier.weight[ground], old.classifier.weight[0])
    assert torch.equal(model.pyramid.project[0].weight, old.pyramid.project[0].weight)
    assert "kept       1  ground" in said[0]
    assert "dropped    1  moon" in said[0]


def test_norms_join_on_gpus_and_are_the_same_otherwise(tiny_recipe):
    recipe, pair = tiny_recipe("train.batch_norm_momentum=0.2"), World(size=2)
    model, images = _built(recipe), torch.randn(2, 3, 32, 48)
    before = model.eval()(images)
    keys = list(model.state_dict())
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    join_norms(model, recipe, torch.device("cuda"), pair)
    joined = [module for module in model.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(joined) == norms > 20
    assert {norm.momentum for norm in joined} == {0.2}
    assert list(model.state_dict()) == keys
    assert torch.equal(model.eval()(images), before)


@pytest.mark.parametrize(
    ("world", "setting", "lines"),
    [
        (World(size=2), "train.freeze_batch_norm=false", 1),
        (World(size=2), "train.freeze_batch_norm=true", 0),
        (ALONE, "train.freeze_batch_norm=false", 0),
    ],
)
def test_on_cpus_norms_stay_apart_and_that_is_said(tiny_recipe, world, setting, lines):
    recipe, said = tiny_recipe(setting), []
    model = _built(recipe)
    join_norms(model, recipe, CPU, world, say=said.append)
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    assert len(said) == lines
