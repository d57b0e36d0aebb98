import pytest
import torch
from torch import nn

from atrous.errors import RecipeError
from atrous.models import create_model
from atrous.train.freezing import freeze, train_all_but


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("deeplabv3", backbone="resnet10t", num_classes=3, rates=(1,))


def _take_steps(model, frozen):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):  # behind a norm that begins with scale 0, only the second step teaches
        train_all_but(frozen, model)
        model(torch.randn(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()


def _changed(model, before):
    return {
        key for key, tensor in model.state_dict().items() if not torch.equal(before[key], tensor)
    }


@pytest.mark.parametrize(
    ("names", "prefixes"),
    [
        (["backbone"], ("backbone.",)),
        (["layer1", "pyramid"], ("backbone.network.layer1.", "pyramid.")),
        (["backbone.network.conv1"], ("backbone.network.conv1.",)),
    ],
)
def test_frozen_layers_stay_to_the_bit_and_all_others_learn(model, names, prefixes):
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    _take_steps(model, freeze(model, names))
    assert _changed(model, before) == {key for key in before if not key.startswith(prefixes)}


def test_frozen_batch_norms_keep_statistics_and_scales(model):
    norms = {
        f"{name}.{key}"
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for key in module.state_dict()
    }
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    _take_steps(model, freeze(model, batch_norm=True))
    assert len(norms) > 50
    assert _changed(model, before) == before.keys() - norms


def test_a_frozen_layer_drops_nothing(model):
    frozen = freeze(model, ["backbone"])
    model.train()
    train_all_but(frozen, model)
    assert not any(module.training for module in model.backbone.modules())
    assert model.training
    assert model.pyramid.training


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("backbon", "no layer 'backbon'; did you mean backbone?"),
        ("layer9", "no layer 'layer9'; did you mean layer"),
        ("", "no layer ''; use backbone, pyramid"),
    ],
)
def test_a_layer_that_is_not_there_is_named_with_the_nearest(model, name, said):
    with pytest.raises(RecipeError) as error:
        freeze(model, [name])
    assert said in str(error.value)


def test_something_must_learn(model):
    with pytest.raises(RecipeError, match="nothing is left to learn"):
        freeze(model, [name for name, _ in model.named_children()])
