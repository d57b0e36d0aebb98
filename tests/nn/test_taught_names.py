import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import ASPP
from atrous.nn.taught_names import our_names

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")


class TaughtASPP(nn.Module):
    """ASPP with one attribute for each layer, as one writes it on a blackboard."""

    def __init__(self, rates: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.number = len(rates)
        self.conv_1x1_1, self.bn_conv_1x1_1 = nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4)
        for k, rate in enumerate(rates, start=1):
            conv = nn.Conv2d(5, 4, 3, padding=rate, dilation=rate)
            setattr(self, f"conv_3x3_{k}", conv)
            setattr(self, f"bn_conv_3x3_{k}", nn.BatchNorm2d(4))
        self.conv_1x1_2, self.bn_conv_1x1_2 = nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4)
        self.conv_1x1_3 = nn.Conv2d(4 * (2 + len(rates)), 4, 1)
        self.bn_conv_1x1_3 = nn.BatchNorm2d(4)
        self.conv_1x1_4 = nn.Conv2d(4, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        def read(name: str, x: Tensor) -> Tensor:
            return F.relu(getattr(self, f"bn_{name}")(getattr(self, name)(x)))

        out = [read("conv_1x1_1", x)]
        out += [read(f"conv_3x3_{k}", x) for k in range(1, self.number + 1)]
        pooled = read("conv_1x1_2", F.adaptive_avg_pool2d(x, 1))
        out.append(F.interpolate(pooled, size=x.shape[-2:], mode="bilinear"))
        return self.conv_1x1_4(read("conv_1x1_3", torch.cat(out, dim=1)))


def taught(rates: tuple[int, ...]) -> TaughtASPP:
    torch.manual_seed(0)
    network = TaughtASPP(rates, num_classes=3).double().eval()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1.0)
    return network


@pytest.mark.parametrize("rates", [(6, 12, 18), (1,), (6, 12, 18, 24)])
@pytest.mark.parametrize("prefix", ["", "heads.0."])
def test_a_taught_state_dict_loads_and_gives_the_same_logits(rates, prefix):
    theirs = taught(rates)
    ours = ASPP(5, 4, rates=rates, num_classes=3, bias=True).double().eval()
    network = ours if not prefix else nn.ModuleDict({"heads": nn.ModuleList([ours])})
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    network.load_state_dict(state)
    assert set(state) == {prefix + name for name in theirs.state_dict()}  # not changed
    x = torch.randn(2, 5, 9, 13, dtype=torch.double)
    assert (ours(x) - theirs(x)).abs().max() < 1e-10


def test_a_copy_takes_the_taught_names_too():
    theirs = taught((1, 2))
    ours = copy.deepcopy(ASPP(5, 4, rates=(1, 2), num_classes=3, bias=True))
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.point[0].weight, theirs.conv_1x1_1.weight.float())


def test_own_names_load_as_before():
    ours, twin = (ASPP(5, 4, rates=(1, 2), num_classes=3) for _ in range(2))
    twin.load_state_dict(ours.state_dict())
    for name, tensor in twin.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name])


def test_another_number_of_rates_is_still_an_error():
    state = taught((6, 12, 18)).state_dict()
    with pytest.raises(
        RuntimeError, match=r'Unexpected key\(s\) in state_dict: "conv_3x3_3.weight"'
    ):
        ASPP(5, 4, rates=(6, 12), num_classes=3, bias=True).load_state_dict(state)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "atrous.3.0.weight"'):
        ASPP(5, 4, rates=(6, 12, 18, 24), num_classes=3, bias=True).load_state_dict(state)


@pytest.mark.parametrize("number", [1, 3, 7])
def test_every_layer_has_one_name(number):
    names = our_names(number)
    assert set(names) == {name for name, _ in taught((1,) * number).named_children()}
    layers = dict(ASPP(5, 4, rates=(1,) * number, num_classes=3, bias=True).named_modules())
    with_weights = {name for name, layer in layers.items() if layer._parameters}
    assert set(names.values()) == with_weights
