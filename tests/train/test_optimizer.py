import pytest
import torch

from atrous.models import create_model
from atrous.recipe import OptimSection
from atrous.train.optimizer import build_optimizer, set_lr


@pytest.fixture(scope="module")
def model():
    return create_model("deeplabv3", backbone="lcnet_035", num_classes=3, rates=(1,))


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_each_parameter_is_in_one_group_with_its_rate(model, name, kind):
    recipe = OptimSection(name=name, lr=0.1, head_lr_multiplier=10, weight_decay=0.5, momentum=0.8)
    optimizer = build_optimizer(model, recipe)
    assert isinstance(optimizer, kind)
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == sum(1 for _ in model.parameters())
    for key, parameter in model.named_parameters():
        group = found[id(parameter)]
        assert group["lr"] == pytest.approx(0.1 if key.startswith("backbone.") else 1.0)
        assert group["weight_decay"] == (0.5 if parameter.ndim > 1 else 0.0)
        assert group.get("momentum", 0.8) == 0.8


def test_the_factor_applies_to_all_groups(model):
    optimizer = build_optimizer(model, OptimSection(lr=0.1, head_lr_multiplier=10))
    assert set_lr(optimizer, 0.5) == pytest.approx(0.05)
    assert {round(group["lr"], 6) for group in optimizer.param_groups} == {0.05, 0.5}
    set_lr(optimizer, 1.0)
    assert {round(group["lr"], 6) for group in optimizer.param_groups} == {0.1, 1.0}


@pytest.mark.parametrize(
    ("architecture", "backbone", "last"),
    [
        ("deeplabv1", "vgg16", ["pyramid.layers.fc8"]),
        ("deeplabv2", "vgg16", ["pyramid.branches.0.fc8", "pyramid.branches.1.fc8"]),
        ("deeplabv2", "test_resnet", ["pyramid.branches.0", "pyramid.branches.1"]),
        ("deeplabv3plus", "test_resnet", ["classifier"]),
    ],
)
def test_the_head_can_be_what_gives_the_logits_alone(architecture, backbone, last):
    rates = (1,) if architecture == "deeplabv1" else (1, 2)
    channels = 8 if backbone == "vgg16" else None
    model = create_model(
        architecture, backbone=backbone, num_classes=3, rates=rates, channels=channels
    )
    recipe = OptimSection(lr=0.1, head="last_layer", head_lr_multiplier=10)
    rates = _rates(build_optimizer(model, recipe), model)
    fast = {key for key, lr in rates.items() if lr == pytest.approx(1.0)}
    assert fast == {f"{name}.{kind}" for name in last for kind in ("weight", "bias")}
    assert {rates[key] for key in rates.keys() - fast} == {0.1}


def test_biases_of_convolutions_can_learn_faster(model):
    recipe = OptimSection(lr=0.1, head_lr_multiplier=10, bias_lr_multiplier=2)
    rates = _rates(build_optimizer(model, recipe), model)
    assert rates["classifier.bias"] == pytest.approx(2.0)
    assert rates["classifier.weight"] == pytest.approx(1.0)
    norms = [key for key in rates if key.startswith("backbone.") and key.endswith("bn1.bias")]
    assert norms
    assert {rates[key] for key in norms} == {0.1}


def test_what_is_said_of_the_rate_is_the_backbones(model):
    recipe = OptimSection(lr=0.1, head_lr_multiplier=10, bias_lr_multiplier=2, weight_decay=0)
    assert set_lr(build_optimizer(model, recipe), 1.0) == 0.1


def _rates(optimizer, model):
    """Return the learning rate of each parameter by its name."""
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {key: rates[id(parameter)] for key, parameter in model.named_parameters()}
