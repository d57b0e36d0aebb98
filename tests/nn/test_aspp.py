import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import ASPP, Pyramid

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")

RATES = (6, 12, 18)


def random_pyramid(*, seed: int = 0, **keywords) -> ASPP:
    """A small pyramid in float64, no number of which is that of its beginning."""
    torch.manual_seed(seed)
    pyramid = ASPP(5, 4, **{"rates": RATES} | keywords).double().eval()
    for tensor in pyramid.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5).mul_(1 if tensor.ndim == 1 else 0.3)
    return pyramid


def recompute(pyramid: ASPP, x: Tensor) -> Tensor:
    """Figure 5 of arXiv:1706.05587, from the weights, without a module."""
    weights = pyramid.state_dict()

    def block(name: str, x: Tensor, rate: int = 1) -> Tensor:
        weight, norm = weights[f"{name}.0.weight"], f"{name}.1"
        padding = rate * (weight.shape[-1] // 2)
        x = F.conv2d(x, weight, weights.get(f"{name}.0.bias"), padding=padding, dilation=rate)
        mean, variance, scale, shift = (
            weights[f"{norm}.{part}"].view(-1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)

    pooled = block("image", F.adaptive_avg_pool2d(x, 1))
    branches = [
        block("point", x),
        *(block(f"atrous.{k}", x, rate) for k, rate in enumerate(pyramid.rates)),
        F.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=False),
    ]
    fused = block("project", torch.cat(branches, dim=1))
    if "classifier.weight" not in weights:
        return fused
    return F.conv2d(fused, weights["classifier.weight"], weights["classifier.bias"])


@pytest.mark.parametrize(
    "keywords", [{}, {"bias": True}, {"num_classes": 3}, {"rates": (1,)}, {"rates": ()}]
)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 20)])
def test_it_is_the_figure_of_the_paper(keywords, size):
    pyramid = random_pyramid(**keywords)
    x = torch.randn(2, 5, *size, dtype=torch.double)
    assert (pyramid(x) - recompute(pyramid, x)).abs().max() < 1e-10


@given(
    rate=st.integers(1, 12),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 999),
)
def test_each_branch_is_atrous_convolution_by_its_definition(
    looped_conv, rate, height, width, seed
):
    pyramid = random_pyramid(seed=seed, rates=(rate, 2 * rate))
    x = torch.randn(1, 5, height, width, dtype=torch.double)
    for branch, branch_rate in zip(pyramid.atrous, pyramid.rates, strict=True):
        expected = looped_conv(x[0].numpy(), branch[0].weight.detach().numpy(), branch_rate)
        assert np.abs(branch[0](x)[0].detach().numpy() - expected).max() < 1e-10


@pytest.mark.parametrize("rates", [(), (1,), (6, 12), RATES, (6, 12, 18, 24), range(1, 11)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (1, 5, 3, 17), (2, 5, 33, 8), (3, 5, 1, 2)])
def test_any_number_of_rates_and_any_map(rates, training, shape):
    pyramid = ASPP(5, 4, rates=rates).train(training)
    assert pyramid.rates == tuple(rates)
    y = pyramid(torch.randn(shape))
    assert y.shape == (shape[0], 4, *shape[2:])
    assert y.isfinite().all()


def test_a_batch_of_one_trains_every_weight():
    pyramid = ASPP(5, 8, rates=(1, 2), num_classes=3).train()
    pyramid(torch.randn(1, 5, 9, 9)).square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in pyramid.parameters())
    assert all(weight.grad.any() for weight in pyramid.parameters())


def test_a_rate_beyond_the_map_leaves_the_centre_tap():
    wide = random_pyramid(rates=(9, 10, 300))
    x = torch.randn(2, 5, 9, 7, dtype=torch.double)
    for branch in wide.atrous:
        conv, norm, relu = branch
        centre = relu(norm(F.conv2d(x, conv.weight[:, :, 1:2, 1:2])))
        assert (branch(x) - centre).abs().max() < 1e-12


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (17, 3)])
def test_image_pooling_is_the_mean_resized_bilinearly(size):
    pyramid = random_pyramid()
    seen = []
    pyramid.project.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    x = torch.randn(2, 5, *size, dtype=torch.double)
    pyramid(x)
    pooled = pyramid.image(F.adaptive_avg_pool2d(x, 1))
    resized = F.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
    assert (seen[0][:, -4:] - resized).abs().max() < 1e-12


def test_dropout_lies_between_projection_and_classifier():
    torch.manual_seed(0)
    pyramid = ASPP(5, 64, rates=(1,), num_classes=3, dropout=0.25)
    seen = {}
    for name, module in pyramid.named_children():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    pyramid.train()(torch.randn(2, 5, 9, 9))
    fused, thinned = seen["dropout"]
    assert torch.equal(fused, seen["project"][1])
    assert torch.equal(thinned, seen["classifier"][0])
    assert (thinned[fused > 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    pyramid.eval()(torch.randn(2, 5, 9, 9))
    assert torch.equal(*seen["dropout"])


def test_separable_branches_are_depthwise_then_pointwise():
    pyramid = ASPP(5, 4, rates=(3,), separable=True)
    convs = [module for module in pyramid.atrous[0] if isinstance(module, nn.Conv2d)]
    assert [(conv.kernel_size, conv.groups) for conv in convs] == [((3, 3), 5), ((1, 1), 1)]
    assert pyramid(torch.zeros(1, 5, 4, 4)).shape == (1, 4, 4, 4)


def test_what_stands_between_the_halves_is_a_choice():
    pyramid = ASPP(5, 4, rates=(3,), separable=True, between="norm")
    assert [type(layer).__name__ for layer in pyramid.atrous[0]] == [
        "Conv2d",
        "BatchNorm2d",
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
    ]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rates", [(1,), RATES])
def test_a_shared_kernel_is_the_same_one_at_every_rate(bias, rates):
    shared = random_pyramid(rates=rates, shared_kernel=True, bias=bias)
    alone = random_pyramid(rates=rates, bias=bias)
    state = shared.state_dict()
    for k in range(len(rates)):
        for part in ("weight", "bias") if bias else ("weight",):
            state[f"atrous.{k}.0.{part}"] = state[f"atrous.conv.{part}"]
        for name in alone.atrous[k][1].state_dict():
            state[f"atrous.{k}.1.{name}"] = state.pop(f"atrous.norms.{k}.0.{name}")
    alone.load_state_dict({name: state[name] for name in alone.state_dict()})
    x = torch.randn(2, 5, 20, 9, dtype=torch.double)
    assert (shared(x) - alone(x)).abs().max() < 1e-12
    saved = (len(rates) - 1) * (5 * 4 * 9 + 4 * bias)
    assert sum(counts(alone, nn.Conv2d)) - sum(counts(shared, nn.Conv2d)) == saved


def test_without_image_pooling_each_cell_sees_its_taps_alone():
    bare = random_pyramid(rates=(1, 2), image_pooling=False)
    assert bare.image is None
    assert bare.project.spatial.in_channels == 3 * bare.out_channels
    x = torch.randn(1, 5, 20, 9, dtype=torch.double)
    far = x.clone()
    far[..., 0, 0] += 1
    change = (bare(far) - bare(x)).abs().sum(dim=1)[0]
    assert change[0, 0] > 0
    assert change[3:].max() == 0
    whole = random_pyramid(rates=(1, 2))
    assert (whole(far) - whole(x)).abs().sum(dim=1)[0, 3:].min() > 0


def test_a_shared_kernel_is_not_separable():
    with pytest.raises(ValueError, match="one dense kernel; leave out separable"):
        ASPP(5, 4, rates=RATES, shared_kernel=True, separable=True)


def test_the_names_of_its_weights_stay():
    # Model files have them.
    names = {name.partition(".")[0] for name in ASPP(5, 4, rates=(1,), num_classes=3).state_dict()}
    assert names == {"point", "atrous", "image", "project", "classifier"}
    assert "atrous.0.0.weight" in ASPP(5, 4, rates=(1,)).state_dict()
    assert isinstance(ASPP(5, 4, rates=(1,)), Pyramid)


def test_the_mean_over_the_map_is_a_layer():
    kinds = [type(module).__name__ for module in ASPP(5, 4, rates=(1,)).children()]
    assert kinds.count("GlobalMean") == 1


def test_the_worked_example():
    # For Cityscapes' 19 classes at stride 16, whose map is 64x128; an eighth of it is enough here.
    pyramid = ASPP(512, 256, rates=RATES, num_classes=19, bias=True)
    assert pyramid.eval()(torch.zeros(1, 512, 8, 16)).shape == (1, 19, 8, 16)
    assert counts(pyramid, nn.Conv2d) == [131_328, *[1_179_904] * 3, 131_328, 327_936, 4_883]
    assert counts(pyramid, nn.BatchNorm2d) == [512] * 6
    assert sum(weight.numel() for weight in pyramid.parameters()) == 4_138_259
    assert all(weight.requires_grad for weight in pyramid.parameters())


def counts(network: nn.Module, kind: type[nn.Module]) -> list[int]:
    """The number of parameters of each layer of one kind, in the order of the network."""
    return [
        sum(weight.numel() for weight in module.parameters())
        for module in network.modules()
        if isinstance(module, kind)
    ]


@pytest.mark.parametrize("rates", [(0,), (6, -1), (1.5,)])
def test_rates_are_whole_numbers(rates):
    with pytest.raises(ValueError, match=r"rates needs whole numbers from 1 up, got \("):
        ASPP(5, 4, rates=rates)
