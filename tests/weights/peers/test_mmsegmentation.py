"""The library's heads are written out here, with its names, as it needs a compiled package."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import create_model
from atrous.nn.conv import resize
from atrous.weights.peers import mmsegmentation
from atrous.weights.peers.names import Hints

OLD_RATES_AT_8 = {3: (1, 2, 2, 2, 2, 2), 4: (2, 4, 4)}
GRID_AT_16 = {4: (1, 2, 4)}
SIZES = ((65, 97), (71, 50))


class ConvModule(nn.Module):
    def __init__(self, in_channels, out_channels, size=1, rate=1, groups=1):
        super().__init__()
        padding = rate * (size // 2)
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            size,
            padding=padding,
            dilation=rate,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class SeparableModule(nn.Sequential):
    def __init__(self, in_channels, out_channels, rate=1):
        super().__init__()
        self.depthwise_conv = ConvModule(in_channels, in_channels, 3, rate, groups=in_channels)
        self.pointwise_conv = ConvModule(in_channels, out_channels)


class Head(nn.Module):
    """ASPPHead; with `c1_channels`, DepthwiseSeparableASPPHead."""

    def __init__(self, channels, rates, num_classes, c1_channels=None):
        super().__init__()
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(2048, channels))
        self.aspp_modules = nn.ModuleList([ConvModule(2048, channels)])
        for rate in rates:
            dense = c1_channels is None
            branch = (
                ConvModule(2048, channels, 3, rate)
                if dense
                else SeparableModule(2048, channels, rate)
            )
            self.aspp_modules.append(branch)
        self.bottleneck = ConvModule((2 + len(rates)) * channels, channels, 3)
        self.c1_channels = c1_channels
        if c1_channels:
            self.c1_bottleneck = ConvModule(256, c1_channels)
            self.sep_bottleneck = nn.Sequential(
                SeparableModule(channels + c1_channels, channels),
                SeparableModule(channels, channels),
            )
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps):
        pooled = resize(self.image_pool(maps[3]), maps[3].shape[-2:])
        x = torch.cat([pooled, *(branch(maps[3]) for branch in self.aspp_modules)], dim=1)
        x = self.bottleneck(x)
        if self.c1_channels:
            c1 = self.c1_bottleneck(maps[0])
            x = self.sep_bottleneck(torch.cat([resize(x, c1.shape[-2:]), c1], dim=1))
        return self.conv_seg(x)


class Auxiliary(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.convs = nn.Sequential(ConvModule(1024, 256, 3))
        self.conv_seg = nn.Conv2d(256, num_classes, 1)

    def forward(self, maps):
        return self.conv_seg(self.convs(maps[2]))


class EncoderDecoder(nn.Module):
    def __init__(self, backbone, head, auxiliary=None):
        super().__init__()
        self.backbone, self.decode_head = backbone, head
        if auxiliary is not None:
            self.auxiliary_head = auxiliary

    def forward(self, images):
        maps = self.backbone(images)
        logits = self.decode_head(maps), *(child(maps) for child in list(self.children())[2:])
        return [resize(x, images.shape[-2:]) for x in logits]


def converted(theirs, **hints):
    keywords, state, dropped, preprocessing = mmsegmentation.convert(
        theirs.state_dict(), Hints(**hints)
    )
    assert not dropped
    assert preprocessing is None  # mean 123.675 of 255 and so on are ImageNet's
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    return ours.eval()


@pytest.mark.parametrize(
    ("stride", "c1_channels", "deep_stem"), [(8, None, True), (8, 48, True), (16, 48, False)]
)
def test_logits_and_auxiliary_logits_are_the_same(
    resnet50, randomised, assert_equal_logits, stride, c1_channels, deep_stem
):
    torch.manual_seed(0)
    backbone = resnet50(
        OLD_RATES_AT_8 if stride == 8 else GRID_AT_16, widths=(32, 32, 64) if deep_stem else None
    )
    rates = (12, 24, 36) if stride == 8 else (6, 12, 18)
    theirs = EncoderDecoder(backbone, Head(512, rates, 5, c1_channels), Auxiliary(5))
    randomised(theirs, torch.randn(4, 3, 48, 64))
    ours = converted(theirs, output_stride=None if stride == 8 else stride)
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected, expected_auxiliary = theirs(images)
            logits, auxiliary = ours.coarse_logits_and_auxiliary(images)
        assert_equal_logits(resize(logits, size), expected)
        assert_equal_logits(resize(auxiliary, size), expected_auxiliary)


def test_width_and_rates_can_be_others(resnet50, randomised, assert_equal_logits):
    torch.manual_seed(0)
    theirs = EncoderDecoder(resnet50(OLD_RATES_AT_8), Head(32, (3, 6), 2))
    randomised(theirs, torch.randn(4, 3, 48, 64))
    ours = converted(theirs, rates=(3, 6))
    assert ours.auxiliary is None
    images = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        assert_equal_logits(ours(images), theirs(images)[0])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("backbone.layer3.0.conv1.weight", "no ResNet-50, -101 or -152"),
        ("backbone.layer1.0.conv2.conv.weight", "ResNeSt"),
        ("backbone.encoder.0.0.convs.0.conv.weight", "U-Net"),
    ],
)
def test_other_backbones_are_refused(key, reason):
    with pytest.raises(DataError, match=reason):
        mmsegmentation.convert({key: torch.zeros(8, 8, 3, 3)})


def test_a_tensor_without_a_place_is_told(resnet50):
    state = EncoderDecoder(resnet50({}), Head(8, (1, 2, 3, 4), 2)).state_dict()
    with pytest.raises(DataError, match=r"no place in the network: decode_head\.aspp_modules\.4"):
        mmsegmentation.convert(state)


def test_it_knows_its_own(resnet50):
    theirs = EncoderDecoder(resnet50({}), Head(8, (1,), 2))
    assert mmsegmentation.recognises(theirs.state_dict())
    ours = create_model("deeplabv3", backbone="resnet18", num_classes=2)
    assert not mmsegmentation.recognises(ours.state_dict())
