import pytest
import torch
from torch import nn

from atrous.fast import aspp_cuda, optimize
from atrous.fast.aspp_cuda import AtrousBranches, LiveTapsASPP, can_fuse, fuse_aspp
from atrous.fast.folding import fold_norm
from atrous.fast.image_bias import FastASPP, with_image_bias
from atrous.nn import ASPP, WASP
from tests.fast.conftest import settle


def folded(pyramid):
    """The pyramid as `optimize` makes it, save that a shared kernel keeps its norms."""
    for block in pyramid.modules():
        kinds = [type(layer).__name__ for layer in block.children()]
        if kinds == ["Conv2d", "BatchNorm2d", "ReLU"]:
            block[0], block[1] = fold_norm(block[0], block[1]), nn.Identity()
    return with_image_bias(pyramid)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (20, 5)])
@pytest.mark.parametrize(
    "keywords", [{}, {"bias": True, "num_classes": 5}, {"rates": ()}, {"rates": (1, 30)}]
)
@torch.no_grad()
def test_the_fused_map_is_the_same(keywords, batch, size):
    torch.manual_seed(0)
    plain = settle(ASPP(32, 16, **{"rates": (2, 4, 6)} | keywords))
    x = torch.randn(batch, 32, *size)
    expected = plain(x)
    fast = folded(plain)
    assert can_fuse(fast)
    torch.testing.assert_close(LiveTapsASPP(fast)(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_two_operations_are_all_that_reads_a_map(monkeypatch):
    fused, seen = LiveTapsASPP(folded(settle(ASPP(32, 16, rates=(2, 4))))), []
    taken = aspp_cuda.atrous_branches
    monkeypatch.setattr(
        aspp_cuda,
        "atrous_branches",
        lambda x, *rest, **how: (
            seen.append((x.shape[1], len(how["kernels"]))) or taken(x, *rest, **how)
        ),
    )
    fused(torch.randn(1, 32, 9, 9))
    assert seen == [(32, 3), (48, 1)]
    assert not any(isinstance(module, nn.Conv2d) for module in fused.modules())


@pytest.mark.parametrize(
    "pyramid",
    [
        lambda: folded(settle(ASPP(32, 16, rates=(1,), separable=True))),
        lambda: folded(settle(ASPP(32, 16, rates=(1,), shared_kernel=True))),
        lambda: folded(settle(ASPP(24, 16, rates=(1,)))),
        lambda: folded(settle(ASPP(32, 8, rates=(1,)))),
        lambda: with_image_bias(settle(ASPP(32, 16, rates=(1,)))),
    ],
)
def test_what_it_cannot_compute_is_left_alone(pyramid, monkeypatch):
    monkeypatch.setattr(aspp_cuda, "has_kernel", lambda *_: True)
    network = nn.Sequential(pyramid())
    assert not can_fuse(network[0])
    assert fuse_aspp(network) is False
    assert isinstance(network[0], FastASPP)


def test_other_pyramids_are_left_alone(monkeypatch):
    monkeypatch.setattr(aspp_cuda, "has_kernel", lambda *_: True)
    assert fuse_aspp(nn.Sequential(folded(settle(WASP(32, 16, rates=(1,)))))) is False


@torch.no_grad()
def test_a_network_keeps_its_logits(make, monkeypatch):
    model, images, asked = make("deeplabv3"), torch.randn(2, 3, 65, 97), []
    expected = optimize(model).network(images)
    monkeypatch.setattr(aspp_cuda, "has_kernel", lambda *which: asked.append(which) or True)
    network = optimize(model).network
    assert asked == [(torch.device("cpu"), torch.float32)]
    assert isinstance(network.pyramid, LiveTapsASPP)
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-4)
    assert fuse_aspp(network) is False


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_processor_never_takes_it(make, precision):
    network = optimize(make("deeplabv3"), precision=precision).network
    assert fuse_aspp(network) is False
    assert isinstance(network.pyramid, FastASPP)


def test_it_has_nothing_to_learn_and_moves_as_a_whole():
    branches = AtrousBranches([nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(8, 4, 3, padding=1)])
    assert not any(parameter.requires_grad for parameter in branches.parameters())
    branches.bfloat16()
    assert (branches.weight.dtype, branches.bias.dtype) == (torch.bfloat16, torch.bfloat16)
    assert branches.weight.shape == (10, 8, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_on_a_device_it_stays_near_float32():
    torch.manual_seed(0)
    plain = settle(ASPP(512, 256, rates=(12, 24, 36))).cuda()
    x = torch.randn(4, 512, 65, 65, device="cuda").contiguous(memory_format=torch.channels_last)
    expected = plain(x)
    network = nn.Sequential(folded(plain).bfloat16())
    assert fuse_aspp(network) is True
    difference = (network(x.bfloat16()).float() - expected).abs().max() / expected.abs().max()
    assert 1e-5 < difference < 0.03
