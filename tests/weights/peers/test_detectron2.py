"""The library's heads are written out here, with its names, as it is on no package index."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import Preprocessing, create_model
from atrous.weights.peers import detectron2
from atrous.weights.peers.names import Hints

BLOCK_RATES = {8: {3: (2,) * 6, 4: (4, 8, 16)}, 16: {4: (2, 4, 8)}}
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
SIZES = ((64, 96), (80, 48))  # it enlarges maps by whole factors
DEEPLAB_STEM = (64, 64, 128)
# From torchvision's names, which the backbone of these tests has.
BACKBONE_NAMES = {
    r"stem\.0\.": "stem.conv1.",
    r"stem\.1\.": "stem.conv1.norm.",
    r"stem\.3\.": "stem.conv2.",
    r"stem\.4\.": "stem.conv2.norm.",
    r"stem\.6\.": "stem.conv3.",
    r"stem\.7\.": "stem.conv3.norm.",
    r"backbone\.conv1\.": "backbone.stem.conv1.",
    r"backbone\.bn1\.": "backbone.stem.conv1.norm.",
    r"layer1\.": "res2.",
    r"layer2\.": "res3.",
    r"layer3\.": "res4.",
    r"layer4\.": "res5.",
    r"\.bn(\d)\.": r".conv\1.norm.",
    r"downsample\.0\.": "shortcut.",
    r"downsample\.1\.": "shortcut.norm.",
}


class Conv2d(nn.Conv2d):
    """A convolution, batch norm if it has no bias, and ReLU."""

    def __init__(self, in_channels, out_channels, size=1, rate=1, groups=1, bias=False):
        padding = rate * (size // 2)
        super().__init__(
            in_channels,
            out_channels,
            size,
            padding=padding,
            dilation=rate,
            groups=groups,
            bias=bias,
        )
        self.norm = None if bias else nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = super().forward(x)
        return F.relu(x if self.norm is None else self.norm(x))


class Separable(nn.Sequential):
    def __init__(self, in_channels, out_channels, size, rate=1):
        super().__init__()
        self.depthwise = Conv2d(in_channels, in_channels, size, rate, groups=in_channels)
        self.pointwise = Conv2d(in_channels, out_channels)


class ASPP(nn.Module):
    def __init__(self, rates, separable=False):
        super().__init__()
        block = Separable if separable else Conv2d
        self.convs = nn.ModuleList(
            [
                Conv2d(2048, 256),
                *(block(2048, 256, 3, rate) for rate in rates),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), Conv2d(2048, 256, bias=True)),
            ]
        )
        self.project = Conv2d(5 * 256, 256)

    def forward(self, x):
        maps = [conv(x) for conv in self.convs]
        maps[-1] = F.interpolate(maps[-1], x.shape[-2:], mode="bilinear")
        return self.project(torch.cat(maps, dim=1))


class V3Head(nn.Module):
    def __init__(self, stride, separable):
        super().__init__()
        self.aspp, self.predictor = ASPP(RATES[stride], separable), nn.Conv2d(256, 5, 1)
        self.common_stride = stride

    def forward(self, maps):
        return self.predictor(self.aspp(maps[3]))


class V3PlusHead(nn.Module):
    common_stride = 4

    def __init__(self, stride, separable):
        super().__init__()
        dense = nn.Sequential(Conv2d(304, 256, 3), Conv2d(256, 256, 3))
        early = {"project_conv": Conv2d(256, 48)}
        early["fuse_conv"] = Separable(304, 256, 5) if separable else dense
        deep = {"project_conv": ASPP(RATES[stride], separable)}
        self.decoder = nn.ModuleDict({"res2": nn.ModuleDict(early), "res5": nn.ModuleDict(deep)})
        self.predictor = nn.Conv2d(256, 5, 1)

    def forward(self, maps):
        deep = self.decoder["res5"]["project_conv"](maps[3])
        early = self.decoder["res2"]["project_conv"](maps[0])
        deep = F.interpolate(deep, early.shape[-2:], mode="bilinear")
        return self.predictor(self.decoder["res2"]["fuse_conv"](torch.cat([early, deep], dim=1)))


class SemanticSegmentor(nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.sem_seg_head = backbone, head

    def forward(self, images):
        logits = self.sem_seg_head(self.backbone(images))
        return F.interpolate(logits, scale_factor=self.sem_seg_head.common_stride, mode="bilinear")


def checkpoint(network):
    state = {}
    for name, tensor in network.state_dict().items():
        key = name
        if key.startswith("backbone."):
            for theirs, ours in BACKBONE_NAMES.items():
                key = re.sub(theirs, ours, key)
        state[key] = tensor
    return state


@pytest.mark.parametrize(
    ("head", "stride", "separable", "widths"),
    [
        (V3Head, 16, False, DEEPLAB_STEM),
        (V3Head, 8, True, None),
        (V3PlusHead, 16, False, DEEPLAB_STEM),
        (V3PlusHead, 16, True, None),
    ],
)
def test_logits_are_the_same(
    resnet50, randomised, assert_equal_logits, head, stride, separable, widths
):
    torch.manual_seed(0)
    backbone = resnet50(BLOCK_RATES[stride], widths=widths)
    theirs = SemanticSegmentor(backbone, head(stride, separable))
    randomised(theirs, torch.randn(4, 3, 48, 64))
    hints = Hints(output_stride=8 if stride == 8 else None)
    keywords, state, dropped, preprocessing = detectron2.convert(checkpoint(theirs), hints)
    assert not dropped
    assert preprocessing is None
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    ours.eval()
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images))


@pytest.fixture
def state(resnet50):
    return checkpoint(SemanticSegmentor(resnet50({}), V3Head(16, separable=False)))


def test_what_normalises_images_is_kept_with_the_model(state):
    mean, std = torch.tensor([0.0, 51.0, 102.0]), torch.tensor([255.0, 51.0, 25.5])
    pixels = {"pixel_mean": mean.view(3, 1, 1), "pixel_std": std.view(3, 1, 1)}
    _, _, dropped, preprocessing = detectron2.convert(state | pixels)
    assert dropped.keys() == pixels.keys()
    assert preprocessing == Preprocessing((0.0, 0.2, 0.4), (1.0, 0.2, 0.1))


def test_a_head_without_batch_norm_is_refused(state):
    del state["sem_seg_head.aspp.project.norm.running_mean"]
    with pytest.raises(DataError, match="no batch norm"):
        detectron2.convert(state)


def test_a_tensor_without_a_place_is_told(state):
    with pytest.raises(DataError, match=r"no place in the network: backbone\.fpn\.weight"):
        detectron2.convert(state | {"backbone.fpn.weight": torch.zeros(1)})


def test_other_backbones_are_refused(state):
    state = {key: value for key, value in state.items() if "backbone.res" not in key}
    with pytest.raises(DataError, match="no ResNet-50, -101 or -152"):
        detectron2.convert(state)


@pytest.mark.parametrize("head", [V3Head, V3PlusHead])
def test_it_knows_its_own(resnet50, head):
    theirs = SemanticSegmentor(resnet50({}), head(16, separable=True))
    assert detectron2.recognises(checkpoint(theirs))
    ours = create_model("deeplabv3", backbone="resnet18", num_classes=2)
    assert not detectron2.recognises(ours.state_dict())
