import pytest
import torch

from atrous.data import open_dataset
from atrous.errors import UsageError
from atrous.models import create_model
from atrous.train.network import build_network, enter_stage
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
