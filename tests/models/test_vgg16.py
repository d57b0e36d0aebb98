import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models.backbone import Backbone
from atrous.models.vgg16 import VGG16


@pytest.fixture(scope="module")
def vgg16() -> VGG16:
    torch.manual_seed(0)
    return VGG16().eval()


def recompute(weights: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The network of DeepLab v1, from the weights of VGG-16, without a module."""
    number = 0  # of the layer, with its ReLUs and poolings, as ImageNet's weights count
    maps = []
    for block, (convs, stride) in enumerate([(2, 2), (2, 2), (3, 2), (3, 1), (3, 1)], start=1):
        rate = 2 if block == 5 else 1
        for _ in range(convs):
            weight, bias = weights[f"{number}.weight"], weights[f"{number}.bias"]
            x = F.conv2d(x, weight, bias, padding=rate, dilation=rate).clamp(min=0)
            number += 2
        maps.append(x)
        x = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, stride=stride)  # nothing is below 0 here
        number += 1
    return [maps[2], F.conv2d(x, torch.full((512, 1, 3, 3), 1 / 9), padding=1, groups=512)]


@pytest.mark.parametrize("size", [(65, 33), (40, 71)])
@torch.no_grad()
def test_its_maps_are_those_of_the_paper(vgg16, size):
    image = torch.randn(2, 3, *size)
    for ours, expected in zip(
        vgg16(image), recompute(vgg16.features.state_dict(), image), strict=True
    ):
        assert ours.shape == expected.shape
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


def test_torchvisions_weights_fit():
    with torch.device("meta"):
        theirs = torchvision.models.vgg16().features.state_dict()
        ours = VGG16()
    ours.features.load_state_dict(theirs, assign=True)  # strict: every name and shape
    assert len(ours.state_dict()) == len(theirs) == 26


def test_its_stages_are_its_maps(vgg16):
    with torch.no_grad():
        maps = vgg16(torch.zeros(1, 3, 65, 65))
    assert [(64 // (x.shape[-2] - 1), x.shape[1]) for x in maps] == [
        (stage.stride, stage.channels) for stage in VGG16.stages
    ]
    convs = [module for module in vgg16.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.dilation[0] for conv in convs] == [1] * 10 + [2] * 3  # arXiv:1412.7062, 3.1


def test_it_is_held_at_8_and_4():
    backbone = Backbone("vgg16", output_stride=8)
    assert backbone.early_channels == {4: 256}
    assert backbone.channels == 512
    backbone.set_output_stride(4)
    # The pooling between the strides is dense now, and all behind it has twice its rate.
    rates = [m.dilation[0] for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert rates == [1] * 7 + [2] * 3 + [4] * 3
    for stride in (16, 32):
        with pytest.raises(UsageError, match=f"has output_stride 8 of its own, got {stride}"):
            backbone.set_output_stride(stride)


def test_its_first_weights_keep_the_size_of_the_signal(vgg16):
    with torch.no_grad():
        fine, deep = vgg16(torch.randn(1, 3, 97, 97))
    assert 0.1 < fine.std() < 10
    assert 0.1 < deep.std() < 10
