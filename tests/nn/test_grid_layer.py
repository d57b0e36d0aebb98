import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.nn import functional as F

from atrous.nn.grid_layer import as_built, at_rate, densify, restore


def settings(module: nn.Module) -> tuple:
    return type(module), module.stride, module.padding, getattr(module, "dilation", None)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(3, 3, 3, stride=2, padding=1),
        nn.Conv2d(3, 3, 2, stride=2),
        nn.Conv2d(3, 3, (1, 7), padding="same"),
        nn.Conv2d(3, 3, 3, padding="valid"),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(2, 2),
    ],
)
def test_a_layer_comes_back_as_it_was(module):
    layer, before = as_built("one", module, 16), settings(module)
    hooks = len(module._forward_pre_hooks)
    densify(module, layer, lost=2, stride=1, rate=2)
    assert settings(module) != before
    restore(module, layer)
    assert settings(module) == before
    assert len(module._forward_pre_hooks) == hooks


def test_a_3x3_pads_by_itself_and_a_2x2_on_one_side():
    odd, even = nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.Conv2d(3, 3, 2, stride=2)
    for module in (odd, even):
        densify(module, as_built("one", module, 16), lost=2, stride=1, rate=2)
    assert (odd.stride, odd.dilation, odd.padding) == ((1, 1), (2, 2), (2, 2))
    assert not odd._forward_pre_hooks
    assert even.padding == (0, 0)
    (hook,) = even._forward_pre_hooks.values()
    assert hook.padding.pads == (0, 2, 0, 2)


def test_what_pads_as_tensorflow_does_pads_where_it_did_or_evenly():
    module, image = Conv2dSame(3, 3, 3, stride=2), torch.randn(1, 3, 16, 18)
    layer, before = as_built("one", module, 16), module(image)
    densify(module, layer, lost=1, stride=1, rate=1)
    assert torch.allclose(module(image)[..., ::2, ::2], before, atol=1e-6)
    restore(module, layer)
    densify(module, layer, lost=1, stride=1, rate=2, even_padding=True)
    expected = F.conv2d(image, module.weight, module.bias, padding=2, dilation=2)
    assert torch.equal(module(image), expected)


def test_a_1x1_only_loses_its_stride():
    module = nn.Conv2d(3, 3, 1, stride=2)
    densify(module, as_built("one", module, 16), lost=4, stride=1, rate=4)
    assert (module.stride, module.dilation, module.padding) == ((1, 1), (1, 1), (0, 0))


def test_a_mean_that_loses_its_stride_can_be_left_out():
    module, image = nn.AvgPool2d(2, 2), torch.randn(1, 3, 5, 7)
    layer = as_built("one", module, 16)
    densify(module, layer, lost=1, stride=1, rate=1, dense_means=False)
    assert torch.equal(module(image), image)
    restore(module, layer)
    assert module(image).shape == (1, 3, 2, 3)


def test_a_unit_rate_multiplies_rate_and_padding():
    layer = at_rate(as_built("one", nn.Conv2d(3, 3, 3, padding=1), 16), 4)
    assert (layer.dilation, layer.before, layer.after) == ((4, 4), (4, 4), (4, 4))
    assert layer.has_unit
    point = as_built("one", nn.Conv2d(3, 3, 1), 16)
    assert at_rate(point, 4) == point


@pytest.mark.parametrize("stride", [(2, 1), 3])
def test_odd_strides_are_refused_by_name(stride):
    with pytest.raises(ValueError, match=r"layer stem strides by .*, not by one power of two"):
        as_built("stem", nn.Conv2d(3, 3, 3, stride=stride), 1)
