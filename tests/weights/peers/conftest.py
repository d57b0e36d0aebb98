"""Networks of other libraries with numbers of their own everywhere, and whether ours equal them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet


@pytest.fixture
def randomised() -> Callable[..., nn.Module]:
    return _randomised


@pytest.fixture
def assert_equal_logits() -> Callable[[Tensor, Tensor], None]:
    return _assert_equal_logits


@pytest.fixture
def resnet50() -> type[resnet.ResNet]:
    return _ResNet50


def _randomised(network: nn.Module, images: Tensor) -> nn.Module:
    """Give each batch norm random weights, and the statistics of `images` with their weights."""
    torch.manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
            norm.momentum = 1.0
        network.train()(images * torch.linspace(0.5, 1.5, len(images)).view(-1, 1, 1, 1))
        for norm in norms:
            norm.running_var.clamp_(min=0.1)  # few values behind image pooling vary little
    return network.eval()


def _assert_equal_logits(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert 0.01 < theirs.std() < 10  # else the bound below says nothing
    assert (ours - theirs).abs().max() < 1e-5
    assert torch.equal(ours.argmax(dim=1), theirs.argmax(dim=1))


class _ResNet50(resnet.ResNet):
    """A backbone with torchvision's names, and the rate of each block written out.

    Args:
        rates: {stage: one rate for each of its blocks}, for the stages that have lost their stride.
        widths: Channels of the three convolutions that `stem` then has in place of the 7x7 one.
        pools_shortcut: Whether shortcuts stride by averaging, as in ResNet-D.
    """

    def __init__(self, rates, *, widths=None, pools_shortcut=False):
        super().__init__(resnet.Bottleneck, [3, 4, 6, 3])
        self.fc = nn.Identity()
        if widths is not None:
            self._deepen_stem(widths)
        for stage, of_blocks in rates.items():
            layer = getattr(self, f"layer{stage}")
            layer[0].conv2.stride = layer[0].downsample[0].stride = 1
            for block, rate in zip(layer, of_blocks, strict=True):
                block.conv2.dilation = block.conv2.padding = rate
        if pools_shortcut:
            self._pool_shortcuts()

    def forward(self, x):
        """Return the maps of the four stages."""
        x = self.stem(x) if hasattr(self, "stem") else self.relu(self.bn1(self.conv1(x)))
        maps = [self.maxpool(x)]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(stage(maps[-1]))
        return maps[1:]

    def _deepen_stem(self, widths):
        del self.conv1, self.bn1
        self.stem = nn.Sequential()
        for before, width, stride in zip((3, *widths), widths, (2, 1, 1), strict=False):
            conv = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
            self.stem.extend([conv, nn.BatchNorm2d(width), nn.ReLU()])
        first = self.layer1[0]
        first.conv1 = nn.Conv2d(widths[-1], 64, 1, bias=False)
        first.downsample[0] = nn.Conv2d(widths[-1], 256, 1, bias=False)

    def _pool_shortcuts(self):
        for stage in (self.layer2, self.layer3, self.layer4):
            shortcut = stage[0].downsample
            if shortcut[0].stride == (2, 2):
                shortcut[0].stride = 1
                pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
                shortcut[0] = nn.Sequential(pool, shortcut[0])
