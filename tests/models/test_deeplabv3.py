import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.models import create_model
from atrous.models.deeplabv3 import DeepLabV3, head_convs
from atrous.nn import Cascade


@torch.no_grad()
def test_it_is_backbone_pyramid_and_classifier():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=5, separable=True).eval()
    assert isinstance(model, DeepLabV3)
    image = torch.randn(2, 3, 65, 65)
    deep = model.backbone(image).deep
    fused = model.pyramid(deep)
    expected = F.conv2d(fused, model.classifier.weight, model.classifier.bias)
    assert torch.equal(model.coarse_logits(image), expected)
    assert model.pyramid.out_channels == 256  # arXiv:1706.05587, section 3.3
    assert model.pyramid.atrous[0][0].groups == deep.shape[1]
    assert model.classifier.kernel_size == (1, 1)


@pytest.mark.parametrize(
    ("output_stride", "rates"), [(8, (8, 16, 32)), (16, (4, 8, 16)), (32, (2, 4, 8))]
)
@torch.no_grad()
def test_a_cascade_goes_deeper(output_stride, rates):
    # arXiv:1706.05587, figure 3: blocks 5 to 7 double the rate of block 4.
    model = create_model(
        "deeplabv3",
        backbone="test_resnet",
        num_classes=5,
        pyramid="cascade",
        output_stride=output_stride,
    ).eval()
    assert isinstance(model.pyramid, Cascade)
    assert model.rates == rates
    x = deep = model.backbone(torch.randn(1, 3, 65, 65)).deep
    for block in model.pyramid.blocks:
        x = block(x)
    assert torch.equal(model.pyramid(deep), x)
    assert model.classifier.in_channels == model.backbone.channels


def test_a_cascade_has_the_multi_grid_of_the_backbone():
    # arXiv:1706.05587, section 3.2.1: the same unit rates in blocks 4 to 7.
    model = create_model(
        "deeplabv3",
        backbone="resnet26",
        num_classes=2,
        pyramid="cascade",
        multi_grid=(1, 2),
        output_stride=16,
    )
    stage = [block.conv2.dilation[0] for block in model.backbone.network.layer4]
    cascade = [unit.atrous.rate for block in model.pyramid.blocks for unit in block]
    assert [*stage, *cascade] == [2, 4, 4, 8, 8, 16, 16, 32]
    model.set_output_stride(8)
    stage = [block.conv2.dilation[0] for block in model.backbone.network.layer4]
    cascade = [unit.atrous.rate for block in model.pyramid.blocks for unit in block]
    assert [*stage, *cascade] == [4, 8, 8, 16, 16, 32, 32, 64]


@pytest.mark.parametrize("number", [0, 1, 2])
@torch.no_grad()
def test_convolutions_may_follow_the_pyramid(number):
    model = create_model(
        "deeplabv3",
        backbone="test_resnet",
        num_classes=5,
        channels=8,
        conventions={"head_convs": number},
    ).eval()
    convs = [module for module in model.head.modules() if isinstance(module, nn.Conv2d)]
    assert [tuple(conv.weight.shape) for conv in convs] == [(8, 8, 3, 3)] * number
    image = torch.randn(1, 3, 65, 49)
    x = model.pyramid(model.backbone(image).deep)
    for conv in convs:
        x = (F.conv2d(x, conv.weight, padding=1) / (1 + 1e-5) ** 0.5).clamp(min=0)
    expected = F.conv2d(x, model.classifier.weight, model.classifier.bias)
    assert torch.allclose(model.coarse_logits(image), expected, atol=1e-5)


def test_convolutions_behind_a_separable_pyramid_are_separable():
    model = create_model(
        "deeplabv3",
        backbone="test_resnet",
        num_classes=5,
        separable=True,
        conventions={"head_convs": 1, "between": "nothing"},
    )
    kinds = [type(layer).__name__ for layer in head_convs(8, model.blueprint)[0]]
    assert kinds == ["Conv2d", "Conv2d", "BatchNorm2d", "ReLU"]


def test_dropout_is_that_of_the_blueprint():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=5, dropout=0.3)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout) and m.p] == [0.3]
