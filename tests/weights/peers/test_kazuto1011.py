"""Its networks are written out here, with its names, as it is no package."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.errors import DataError
from atrous.models import create_model
from atrous.weights.peers import kazuto1011
from atrous.weights.peers.names import Hints

CLASSES = 5
BLOCKS = (3, 4, 6, 3)  # a ResNet-50, for speed
BUILT_FOR = {8: ((1, 2, 1, 1), (1, 1, 2, 4)), 16: ((1, 2, 2, 1), (1, 1, 1, 2))}


def unit(
    channels: int, out: int, size: int = 1, *, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    padding = rate * (size // 2)
    conv = nn.Conv2d(channels, out, size, stride, padding, rate, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(out)))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, rate: int, is_first: bool) -> None:
        super().__init__()
        self.reduce = unit(channels, out // 4, stride=stride)
        self.conv3x3 = unit(out // 4, out // 4, 3, rate=rate)
        self.increase = unit(out // 4, out)
        self.shortcut = unit(channels, out, stride=stride) if is_first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.increase(self.conv3x3(self.reduce(x).relu()).relu())
        return F.relu(y + self.shortcut(x))


def stage(number: int, channels: int, out: int, stride: int, rates: list[int]) -> nn.Sequential:
    blocks = OrderedDict()
    for k, rate in enumerate(rates):
        first = channels if k == 0 else out
        blocks[f"block{k + 1}"] = Bottleneck(first, out, stride if k == 0 else 1, rate, k == 0)
    return nn.Sequential(blocks)


class Backbone(nn.Module):
    def __init__(self, output_stride: int, units: tuple[int, ...]) -> None:
        super().__init__()
        strides, rates = BUILT_FOR[output_stride]
        self.layer1 = nn.Sequential(OrderedDict(conv1=unit(3, 64, 7, stride=2)))
        channels = (64, 256, 512, 1024, 2048)
        for k in range(4):
            multiples = units if k == 3 else (1,) * BLOCKS[k]
            layer = stage(
                k, channels[k], channels[k + 1], strides[k], [rates[k] * unit for unit in multiples]
            )
            setattr(self, f"layer{k + 2}", layer)

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.layer1(x).relu(), 3, 2, 1, ceil_mode=True)
        early = self.layer2(x)
        return early, self.layer5(self.layer4(self.layer3(early)))


class V2(Backbone):
    def __init__(self, rates=(6, 12, 18, 24)) -> None:
        super().__init__(8, (1, 1, 1))
        self.aspp = nn.Module()
        for k, rate in enumerate(rates):
            conv = nn.Conv2d(2048, CLASSES, 3, padding=rate, dilation=rate)
            self.aspp.add_module(f"c{k}", conv)

    def forward(self, x: Tensor) -> Tensor:
        _, deep = self.maps(x)
        return sum(branch(deep) for branch in self.aspp.children())


class V3(Backbone):
    def __init__(self, output_stride: int, rates=(6, 12, 18)) -> None:
        super().__init__(output_stride, (1, 2, 4))
        stages = nn.Module()
        stages.c0 = unit(2048, 256)
        for k, rate in enumerate(rates):
            stages.add_module(f"c{k + 1}", unit(2048, 256, 3, rate=rate))
        stages.imagepool = nn.Module()
        stages.imagepool.conv = unit(2048, 256)
        self.aspp = nn.Module()
        self.aspp.stages = stages
        self.fc1 = unit(5 * 256, 256)
        self._add_classifier()

    def _add_classifier(self) -> None:
        self.fc2 = nn.Conv2d(256, CLASSES, 1)

    def fuse(self, deep: Tensor) -> Tensor:
        *branches, pool = self.aspp.stages.children()
        image = pool.conv(F.adaptive_avg_pool2d(deep, 1)).relu().expand(-1, -1, *deep.shape[-2:])
        maps = [*(branch(deep).relu() for branch in branches), image]
        return self.fc1(torch.cat(maps, dim=1)).relu()

    def forward(self, x: Tensor) -> Tensor:
        _, deep = self.maps(x)
        return self.fc2(self.fuse(deep))


class V3Plus(V3):
    def _add_classifier(self) -> None:
        self.reduce = unit(256, 48)
        self.fc2 = nn.Sequential(
            OrderedDict(
                conv1=unit(304, 256, 3), conv2=unit(256, 256, 3), conv3=nn.Conv2d(256, CLASSES, 1)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        early, deep = self.maps(x)
        deep = F.interpolate(self.fuse(deep), early.shape[-2:], mode="bilinear")
        joined = torch.cat((deep, self.reduce(early).relu()), dim=1)
        fused = self.fc2.conv2(self.fc2.conv1(joined).relu()).relu()
        return F.interpolate(self.fc2.conv3(fused), x.shape[-2:], mode="bilinear")


class MSC(nn.Module):
    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        logits = self.base(x)
        for scale in (0.5, 0.75):
            size = [int(side * scale) for side in x.shape[-2:]]
            other = self.base(F.interpolate(x, size, mode="bilinear"))
            logits = torch.maximum(logits, F.interpolate(other, logits.shape[-2:], mode="bilinear"))
        return logits


@pytest.fixture
def pair(randomised):
    """Its network and ours with its weights, in float64: theirs sums the colours backwards."""

    def build(theirs: nn.Module, **hints):
        randomised(theirs, torch.randn(4, 3, 48, 64))
        converted = kazuto1011.convert(theirs.state_dict(), Hints(**hints))
        assert not converted.dropped
        ours = create_model(**converted.keywords)
        ours.load_state_dict(converted.state)
        return theirs.double(), ours.double().eval()

    return build


def compare(theirs: nn.Module, ours: nn.Module, sizes, assert_equal_logits) -> None:
    for size in sizes:
        images = torch.randn(1, 3, *size, dtype=torch.double)
        with torch.no_grad():
            assert_equal_logits(ours.coarse_logits(images), theirs(images.flip(1)))


@pytest.mark.parametrize("rates", [None, (3, 6, 9, 12)])
def test_logits_of_v2_are_the_same(pair, assert_equal_logits, rates):
    theirs, ours = pair(V2(*[rates] if rates else []), rates=rates)
    # In 66 pixels the pooling counts a last window; 205 show every rate.
    compare(theirs, ours, [(65, 97), (66, 51), (33, 205)], assert_equal_logits)


def test_logits_of_v2_at_three_scales_are_the_same(pair, assert_equal_logits):
    theirs, ours = pair(MSC(V2()))
    assert ours.blueprint.scales == (0.5, 0.75, 1.0)
    compare(theirs, ours, [(97, 129), (83, 70)], assert_equal_logits)


@pytest.mark.parametrize(("output_stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18))])
def test_logits_of_v3_are_the_same(pair, assert_equal_logits, output_stride, rates):
    theirs, ours = pair(V3(output_stride, rates), output_stride=output_stride)
    compare(theirs, ours, [(65, 97), (33, 321)], assert_equal_logits)


def test_logits_of_v3_at_three_scales_and_other_rates_are_the_same(pair, assert_equal_logits):
    theirs, ours = pair(MSC(V3(16, (1, 2, 3))), rates=(1, 2, 3))
    compare(theirs, ours, [(97, 129)], assert_equal_logits)


def test_logits_of_v3plus_are_the_same(pair, assert_equal_logits):
    theirs, ours = pair(V3Plus(16))
    for size in ((65, 97), (66, 51)):
        images = torch.randn(1, 3, *size, dtype=torch.double)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images.flip(1)))


def test_images_are_less_a_mean():
    state = V2().state_dict()
    preprocess = kazuto1011.convert(state).preprocessing
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([10 - 122.675, 20 - 116.669, 30 - 104.008])
    assert torch.allclose(preprocess(image).flatten(), expected, atol=1e-4)


@torch.no_grad()
def test_it_knows_its_own():
    wrapped = MSC(V2()).state_dict()
    old = {key.replace("base.", "scale.", 1): tensor for key, tensor in wrapped.items()}
    for state in (V2().state_dict(), V3(8).state_dict(), V3Plus(8).state_dict(), wrapped, old):
        assert kazuto1011.recognises(state)
    assert not kazuto1011.recognises(Backbone(8, (1, 1, 1)).state_dict())


@torch.no_grad()
def test_v3plus_at_three_scales_is_refused():
    with pytest.raises(DataError, match=r"MSC compares the logits of v3[+]"):
        kazuto1011.convert(MSC(V3Plus(16)).state_dict())
