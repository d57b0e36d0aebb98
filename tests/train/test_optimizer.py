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
