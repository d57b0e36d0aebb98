import copy

import pytest
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.fast import OptimizedModel, optimize
from atrous.fast.rewriting import InFloat32
from atrous.fast.taps import TapsAsChannels

KINDS = [
    ("deeplabv3", {}),
    ("deeplabv3", {"shared_kernel": True}),
    ("deeplabv3", {"image_pooling": False}),
    ("deeplabv3", {"pyramid": "wasp"}),
    ("deeplabv3plus", {"separable": True, "aux_head": True}),
    ("deeplabv3", {"backbone": "efficientnet_lite0", "channels": 16, "output_stride": 8}),
    ("deeplabv2", {}),
    ("deeplabv2", {"scales": (0.5, 1.0)}),
    ("lraspp", {}),
]


def largest_difference(one, other):
    return ((one - other).abs().max() / other.abs().max()).item()


@pytest.mark.parametrize(("architecture", "keywords"), KINDS)
@torch.inference_mode()
def test_the_logits_are_the_same(make, architecture, keywords):
    model = make(architecture, **keywords)
    fast = optimize(model)
    for shape in ((1, 3, 65, 97), (2, 3, 40, 33)):
        images = torch.randn(shape)
        assert largest_difference(fast(images), model(images)) < 1e-4
        expected = model.coarse_logits(images)
        assert largest_difference(fast.coarse_logits(images), expected) < 1e-4


def test_no_norm_is_left(make):
    fast = optimize(make("deeplabv3plus", separable=True))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


def test_the_model_stays_as_it_is(make):
    model = make("deeplabv3").train()
    before = copy.deepcopy(model.state_dict())
    optimize(model, precision="bf16", size=(65, 65))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


@torch.inference_mode()
def test_a_size_takes_dead_taps_away(make):
    model = make("deeplabv3")
    fast, images = optimize(model, size=(65, 97)), torch.randn(1, 3, 65, 97)
    assert largest_difference(fast(images), model(images)) < 1e-4
    sizes = [conv.kernel_size for conv in fast.pyramid.modules() if isinstance(conv, nn.Conv2d)]
    assert sizes.count((3, 3)) < sum(
        isinstance(c, nn.Conv2d) for c in model.pyramid.atrous.modules()
    )
    with pytest.raises(UsageError, match="optimized for images up to 65x97 pixels, got 66x97"):
        fast(torch.zeros(1, 3, 66, 97))


@pytest.mark.parametrize("unit", [True, False])
@torch.inference_mode()
def test_bf16_gives_float32_logits_close_by(make, monkeypatch, unit):
    monkeypatch.setattr("atrous.fast.rewriting.has_matrix_unit", lambda: unit)
    model, images = make("deeplabv3", output_stride=8), torch.randn(1, 3, 65, 65)
    fast = optimize(model, precision="bf16")
    logits = fast(images)
    assert logits.dtype == torch.float32
    assert 1e-5 < largest_difference(logits, model(images)) < 0.1
    kinds = {type(module) for module in fast.modules()}
    assert (TapsAsChannels in kinds) is unit  # without AMX oneDNN leaves padding out by itself
    assert InFloat32 in kinds


def test_auto_asks_the_device(make, monkeypatch):
    for answer, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("atrous.fast.rewriting.has_fast_bf16", lambda _, answer=answer: answer)
        assert optimize(make("deeplabv3"), precision="auto").dtype == dtype


def test_torch_compiles_with_the_weights_as_constants(make, monkeypatch):
    from torch._inductor import config

    seen = []

    def compiled(run):
        return lambda images: seen.append(config.freezing) or run(images)

    monkeypatch.setattr(torch, "compile", compiled)
    model = optimize(make("deeplabv3"), compile=True)
    model(torch.zeros(1, 3, 33, 33))
    model(torch.zeros(1, 3, 33, 65))  # another size is compiled anew
    assert (seen, config.freezing) == ([True, True], False)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"precision": "fp8"}, "precision 'fp8' is unknown; use auto, fp32, bf16"),
        ({"size": (0, 5)}, "size needs"),
        ({"size": (5,)}, "size needs"),
    ],
)
def test_what_it_cannot_do_is_refused(make, keywords, message):
    with pytest.raises(UsageError, match=message):
        optimize(make("deeplabv3"), **keywords)


def test_optimizing_twice_is_refused(make):
    with pytest.raises(UsageError, match="optimized already"):
        optimize(optimize(make("deeplabv3")))
    assert isinstance(optimize(make("deeplabv3")), OptimizedModel)
