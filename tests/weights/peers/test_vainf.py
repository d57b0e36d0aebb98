"""Its heads are written out here, with its names, as it is no package."""

import pytest
import torch
from torch import nn

from atrous.errors import DataError
from atrous.models import create_model
from atrous.nn.conv import resize
from atrous.weights.peers import vainf
from atrous.weights.peers.names import Hints

OLD_RATES = {8: {3: (1, 2, 2, 2, 2, 2), 4: (2, 4, 4)}, 16: {4: (1, 2, 2)}}
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
SIZES = ((65, 97), (71, 50))


class Separable(nn.Module):
    def __init__(self, conv):
        super().__init__()
        mixed = nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=False)
        rate = conv.dilation[0]
        self.body = nn.Sequential(
            nn.Conv2d(
                conv.in_channels,
                conv.in_channels,
                3,
                padding=rate,
                dilation=rate,
                groups=conv.in_channels,
                bias=False,
            ),
            mixed,
        )

    def forward(self, x):
        return self.body(x)


def block(in_channels, out_channels, *, rate=0, separable=False):
    """A 1x1 convolution, or a 3x3 one with a rate, and what follows."""
    if not rate:
        conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    else:
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate, bias=False)
    layers = Separable(conv) if rate and separable else conv
    return nn.Sequential(layers, nn.BatchNorm2d(out_channels), nn.ReLU())


class ASPP(nn.Module):
    def __init__(self, rates, separable):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                block(2048, 256),
                *(block(2048, 256, rate=rate, separable=separable) for rate in rates),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), *block(2048, 256)),
            ]
        )
        self.project = block(5 * 256, 256)

    def forward(self, x):
        return self.project(torch.cat([resize(conv(x), x.shape[-2:]) for conv in self.convs], 1))


class Head(nn.Module):
    def __init__(self, rates, separable):
        super().__init__()
        self.classifier = nn.Sequential(
            ASPP(rates, separable),
            *block(256, 256, rate=1, separable=separable),
            nn.Conv2d(256, 5, 1),
        )

    def forward(self, maps):
        return self.classifier(maps[3])


class PlusHead(nn.Module):
    def __init__(self, rates, separable):
        super().__init__()
        self.project = block(256, 48)
        self.aspp = ASPP(rates, separable)
        self.classifier = nn.Sequential(
            *block(304, 256, rate=1, separable=separable), nn.Conv2d(256, 5, 1)
        )

    def forward(self, maps):
        early, deep = self.project(maps[0]), self.aspp(maps[3])
        return self.classifier(torch.cat([early, resize(deep, early.shape[-2:])], dim=1))


class DeepLab(nn.Module):
    def __init__(self, backbone, classifier):
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def forward(self, images):
        return resize(self.classifier(self.backbone(images)), images.shape[-2:])


@pytest.mark.parametrize(
    ("head", "stride", "separable"),
    [(Head, 8, False), (Head, 16, True), (PlusHead, 16, False), (PlusHead, 8, True)],
)
def test_logits_are_the_same(resnet50, randomised, assert_equal_logits, head, stride, separable):
    torch.manual_seed(0)
    theirs = DeepLab(resnet50(OLD_RATES[stride]), head(RATES[stride], separable))
    randomised(theirs, torch.randn(4, 3, 48, 64))
    hints = Hints(output_stride=8 if stride == 8 else None)
    keywords, state, dropped, preprocessing = vainf.convert(theirs.state_dict(), hints)
    assert not dropped
    assert preprocessing is None
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    ours.eval()
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("backbone.low_level_features.0.0.weight", "MobileNetV2 pads"),
        ("backbone.transition1.0.0.weight", "HRNet"),
    ],
)
def test_other_backbones_are_refused(key, reason):
    with pytest.raises(DataError, match=reason):
        vainf.convert({"classifier.aspp.convs.0.0.weight": torch.zeros(1), key: torch.zeros(1)})


@pytest.mark.parametrize("head", [Head, PlusHead])
def test_it_knows_its_own(resnet50, head):
    assert vainf.recognises(DeepLab(resnet50({}), head((1, 2, 3), False)).state_dict())
    ours = create_model("deeplabv3", backbone="resnet18", num_classes=2)
    assert not vainf.recognises(ours.state_dict())
