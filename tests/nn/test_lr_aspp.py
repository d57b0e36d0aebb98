import pytest
import torch
from torch import nn
from torchvision.models.segmentation.lraspp import LRASPPHead

from atrous.nn import LRASPP

THEIR_NAMES = {
    "cbr.0": "point.0",
    "cbr.1": "point.1",
    "scale.1": "gate.1",
    "low_classifier": "low_classifier",
    "high_classifier": "deep_classifier",
}


@pytest.mark.parametrize(("low", "deep"), [((1, 1), (1, 1)), ((9, 14), (5, 7)), ((3, 4), (6, 9))])
def test_it_is_torchvisions_head(low, deep):
    torch.manual_seed(0)
    theirs = LRASPPHead(3, 5, 4, 6).double().eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1.5)
    state = {
        f"{THEIR_NAMES[layer]}.{tensor}": value
        for layer, _, tensor, value in (
            (*name.rpartition("."), value) for name, value in theirs.state_dict().items()
        )
    }
    ours = LRASPP(3, 5, 4, channels=6).double().eval()
    ours.load_state_dict(state)
    x, y = torch.randn(2, 3, *low).double(), torch.randn(2, 5, *deep).double()
    assert (ours(x, y) - theirs({"low": x, "high": y})).abs().max() < 1e-12


def test_the_gate_is_one_number_for_each_channel():
    pyramid = LRASPP(3, 5, 4, channels=6)
    gate = pyramid.gate(torch.randn(2, 5, 7, 9))
    assert gate.shape == (2, 6, 1, 1)
    assert ((gate > 0) & (gate < 1)).all()


def test_it_has_no_rates_and_the_channels_of_the_paper():
    pyramid = LRASPP(40, 960, 19)
    assert pyramid.rates == ()
    assert pyramid.out_channels == 19
    convs = [module for module in pyramid.modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels, conv.bias is None) for conv in convs] == [
        (960, 128, True),
        (960, 128, True),
        (40, 19, False),
        (128, 19, False),
    ]
