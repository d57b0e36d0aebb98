"""The library's heads are written out here, with its names, as it needs another framework."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import Preprocessing, create_model
from atrous.nn.conv import resize
from atrous.weights.peers import paddleseg
from atrous.weights.peers.names import Hints

BLOCK_RATES = {8: {3: (2,) * 6, 4: (4, 8, 16)}, 16: {4: (2, 4, 8)}}
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
SIZES = ((65, 97), (71, 50))
# From torch's names, and those of torchvision, which the backbone of these tests has.
NAMES = {
    r"stem\.0\.": "conv1_1._conv.",
    r"stem\.1\.": "conv1_1._batch_norm.",
    r"stem\.3\.": "conv1_2._conv.",
    r"stem\.4\.": "conv1_2._batch_norm.",
    r"stem\.6\.": "conv1_3._conv.",
    r"stem\.7\.": "conv1_3._batch_norm.",
    r"layer1\.(\d)\.": r"bb_0_\1.",
    r"layer2\.(\d)\.": r"bb_1_\1.",
    r"layer3\.(\d)\.": r"bb_2_\1.",
    r"layer4\.(\d)\.": r"bb_3_\1.",
    r"\.conv1\.": ".conv0._conv.",
    r"\.conv2\.": ".conv1._conv.",
    r"\.conv3\.": ".conv2._conv.",
    r"\.bn1\.": ".conv0._batch_norm.",
    r"\.bn2\.": ".conv1._batch_norm.",
    r"\.bn3\.": ".conv2._batch_norm.",
    r"downsample\.0\.(1\.)?": "short._conv.",
    r"downsample\.1\.": "short._batch_norm.",
    "running_mean": "_mean",
    "running_var": "_variance",
}


class ConvBN(nn.Module):
    def __init__(self, in_channels, out_channels, size=1, rate=1, groups=1, bias=True):
        super().__init__()
        padding = rate * (size // 2)
        self._conv = nn.Conv2d(
            in_channels,
            out_channels,
            size,
            padding=padding,
            dilation=rate,
            groups=groups,
            bias=bias,
        )
        self._batch_norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return self._batch_norm(self._conv(x))


class ConvBNReLU(ConvBN):
    def forward(self, x):
        return F.relu(super().forward(x))


class SeparableConvBNReLU(nn.Sequential):
    def __init__(self, in_channels, out_channels, size, rate=1):
        super().__init__()
        self.depthwise_conv = ConvBN(in_channels, in_channels, size, rate, groups=in_channels)
        self.piontwise_conv = ConvBNReLU(in_channels, out_channels)


class ASPP(nn.Module):
    def __init__(self, rates, separable):
        super().__init__()
        block = SeparableConvBNReLU if separable else ConvBNReLU
        self.aspp_blocks = nn.ModuleList(
            [ConvBNReLU(2048, 256), *(block(2048, 256, 3, rate) for rate in rates)]
        )
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvBNReLU(2048, 256, bias=False)
        )
        self.conv_bn_relu = ConvBNReLU(5 * 256, 256)

    def forward(self, x):
        image = resize(self.global_avg_pool(x), x.shape[-2:])
        return self.conv_bn_relu(torch.cat([*(block(x) for block in self.aspp_blocks), image], 1))


class V3Head(nn.Module):
    def __init__(self, rates):
        super().__init__()
        self.aspp, self.cls = ASPP(rates, separable=False), nn.Conv2d(256, 5, 1)

    def forward(self, maps):
        return self.cls(self.aspp(maps[3]))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_bn_relu1 = ConvBNReLU(256, 48)
        self.conv_bn_relu2 = SeparableConvBNReLU(304, 256, 3)
        self.conv_bn_relu3 = SeparableConvBNReLU(256, 256, 3)
        self.conv = nn.Conv2d(256, 5, 1)

    def forward(self, deep, early):
        early = self.conv_bn_relu1(early)
        x = torch.cat([resize(deep, early.shape[-2:]), early], dim=1)
        return self.conv(self.conv_bn_relu3(self.conv_bn_relu2(x)))


class V3PHead(nn.Module):
    def __init__(self, rates):
        super().__init__()
        self.aspp, self.decoder = ASPP(rates, separable=True), Decoder()

    def forward(self, maps):
        return self.decoder(self.aspp(maps[3]), maps[0])


class DeepLab(nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images):
        return resize(self.head(self.backbone(images)), images.shape[-2:])


@pytest.fixture
def peer(resnet50):
    def build(head, stride):
        torch.manual_seed(0)
        vd = resnet50(BLOCK_RATES[stride], widths=(32, 32, 64), pools_shortcut=True)
        return DeepLab(vd, head(RATES[stride]))

    return build


def checkpoint(network):
    state = {}
    for name, tensor in network.state_dict().items():
        key = name
        for ours, theirs in NAMES.items():
            key = re.sub(ours, theirs, key)
        if "num_batches_tracked" not in key:
            state[key] = tensor
    return state


@pytest.mark.parametrize(("head", "stride"), [(V3Head, 8), (V3PHead, 8), (V3PHead, 16)])
def test_logits_are_the_same(peer, randomised, assert_equal_logits, head, stride):
    theirs = randomised(peer(head, stride), torch.randn(4, 3, 48, 64))
    hints = Hints(output_stride=16 if stride == 16 else None)
    keywords, state, dropped, preprocessing = paddleseg.convert(checkpoint(theirs), hints)
    assert not dropped
    assert preprocessing == Preprocessing((0.5,) * 3, (0.5,) * 3)
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    ours.eval()
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images))


def test_a_tensor_without_a_place_is_told(peer):
    state = checkpoint(peer(V3Head, 8)) | {"head.extra.weight": torch.zeros(1)}
    with pytest.raises(DataError, match=r"no place in the network: head\.extra\.weight"):
        paddleseg.convert(state)


def test_other_backbones_are_refused():
    with pytest.raises(DataError, match="no ResNet-50, -101 or -152"):
        paddleseg.convert({"backbone.conv1._conv.weight": torch.zeros(1)})


@pytest.mark.parametrize("head", [V3Head, V3PHead])
def test_it_knows_its_own(peer, head):
    assert paddleseg.recognises(checkpoint(peer(head, 8)))
    ours = create_model("deeplabv3", backbone="resnet18", num_classes=2)
    assert not paddleseg.recognises(ours.state_dict())
