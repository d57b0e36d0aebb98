"""Its heads are written out here, with its names, as it is no package."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import create_model
from atrous.nn.conv import resize
from atrous.weights.peers import jfzhang95
from atrous.weights.peers.names import Hints

BLOCK_RATES = {8: {3: (2,) * 6, 4: (4, 8, 16)}, 16: {4: (2, 4, 8)}}
SIZES = ((65, 97), (71, 50))


class Branch(nn.Module):
    def __init__(self, rate):
        super().__init__()
        size, padding = (1, 0) if rate == 1 else (3, rate)
        self.atrous_conv = nn.Conv2d(2048, 256, size, padding=padding, dilation=rate, bias=False)
        self.bn = nn.BatchNorm2d(256)

    def forward(self, x):
        return F.relu(self.bn(self.atrous_conv(x)))


class ASPP(nn.Module):
    def __init__(self, rates):
        super().__init__()
        self.aspp1, self.aspp2, self.aspp3, self.aspp4 = map(Branch, (1, *rates))
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(2048, 256, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(5 * 256, 256, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(256)

    def forward(self, x):
        image = resize(self.global_avg_pool(x), x.shape[-2:], align_corners=True)
        branches = self.aspp1(x), self.aspp2(x), self.aspp3(x), self.aspp4(x), image
        return F.relu(self.bn1(self.conv1(torch.cat(branches, dim=1))))


class Decoder(nn.Module):
    def __init__(self, with_dropout):
        super().__init__()
        self.conv1 = nn.Conv2d(256, 48, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(48)
        dropout = [nn.Dropout(0.0)] if with_dropout else []
        self.last_conv = nn.Sequential(
            nn.Conv2d(304, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            *dropout,
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            *dropout,
            nn.Conv2d(256, 5, 1),
        )

    def forward(self, deep, early):
        early = F.relu(self.bn1(self.conv1(early)))
        deep = resize(deep, early.shape[-2:], align_corners=True)
        return self.last_conv(torch.cat([deep, early], dim=1))


class DeepLab(nn.Module):
    def __init__(self, backbone, rates, with_dropout=True):
        super().__init__()
        self.backbone, self.aspp, self.decoder = backbone, ASPP(rates), Decoder(with_dropout)

    def forward(self, images):
        maps = self.backbone(images)
        logits = self.decoder(self.aspp(maps[3]), maps[0])
        return resize(logits, images.shape[-2:], align_corners=True)


@pytest.mark.parametrize(
    ("stride", "rates", "with_dropout"), [(16, (6, 12, 18), True), (8, (12, 24, 36), False)]
)
def test_logits_are_the_same(
    resnet50, randomised, assert_equal_logits, stride, rates, with_dropout
):
    torch.manual_seed(0)
    theirs = DeepLab(resnet50(BLOCK_RATES[stride]), rates, with_dropout)
    randomised(theirs, torch.randn(4, 3, 48, 64))
    hints = Hints(output_stride=8 if stride == 8 else None)
    keywords, state, dropped, preprocessing = jfzhang95.convert(theirs.state_dict(), hints)
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
        ("backbone.block1.rep.0.weight", "Xception"),
        ("backbone.layer0.0.weight", "DRN"),
        ("backbone.features.0.0.weight", "MobileNetV2 pads"),
        ("backbone.layer3.0.conv1.weight", "no ResNet-50, -101 or -152"),
    ],
)
def test_other_backbones_are_refused(key, reason):
    with pytest.raises(DataError, match=reason):
        jfzhang95.convert({"decoder.last_conv.8.weight": torch.zeros(5, 1), key: torch.zeros(1)})


def test_it_knows_its_own(resnet50):
    assert jfzhang95.recognises(DeepLab(resnet50({}), (1, 2, 3)).state_dict())
    ours = create_model("deeplabv3plus", backbone="resnet18", num_classes=2)
    assert not jfzhang95.recognises(ours.state_dict())
