import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import Decoder


def test_it_is_the_figure_of_the_paper():
    # arXiv:1802.02611, figure 2: resize, concatenate with the reduced early map, two 3x3.
    torch.manual_seed(0)
    decoder = Decoder(6, 3, reduced_channels=2, out_channels=4).double().eval()
    for tensor in decoder.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5).mul_(1 if tensor.ndim == 1 else 0.3)
    weights = decoder.state_dict()

    def block(name: str, x: Tensor) -> Tensor:
        weight = weights[f"{name}.0.weight"]
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        mean, variance, scale, shift = (
            weights[f"{name}.1.{part}"].view(-1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)

    deep, fine = torch.randn(2, 6, 3, 4).double(), torch.randn(2, 3, 11, 15).double()
    large = F.interpolate(deep, size=(11, 15), mode="bilinear", align_corners=False)
    joined = torch.cat([large, block("reduce", fine)], dim=1)
    expected = block("refine.1", block("refine.0", joined))
    assert (decoder(deep, fine) - expected).abs().max() < 1e-10


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("deep", "fine"), [((1, 1), (1, 1)), ((1, 1), (2, 3)), ((9, 5), (33, 17)), ((5, 5), (3, 2))]
)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_result_lies_on_the_fine_grid(separable, training, deep, fine, batch):
    decoder = Decoder(6, 3, out_channels=4, separable=separable).train(training)
    y = decoder(torch.randn(batch, 6, *deep), torch.randn(batch, 3, *fine))
    assert y.shape == (batch, 4, *fine)
    assert y.isfinite().all()


def test_the_numbers_of_the_paper_are_the_defaults():
    decoder = Decoder(256, 24)
    convs = [module for module in decoder.modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels, conv.kernel_size[0]) for conv in convs] == [
        (24, 48, 1),
        (304, 256, 3),
        (256, 256, 3),
    ]
    assert decoder.out_channels == 256


def test_separable_convolutions_are_lighter_and_reach_as_far():
    dense, separable = Decoder(256, 24), Decoder(256, 24, separable=True)
    weights = [sum(w.numel() for w in d.refine.parameters()) for d in (dense, separable)]
    assert weights[1] < weights[0] / 7
    y = separable.train()(torch.zeros(1, 256, 2, 2), torch.randn(1, 24, 9, 9, requires_grad=True))
    assert y.shape == (1, 256, 9, 9)


def test_gradients_reach_both_maps_and_every_weight():
    torch.manual_seed(0)
    decoder = Decoder(6, 3, out_channels=8)
    deep, fine = torch.randn(1, 6, 3, 3), torch.randn(1, 3, 9, 9)
    decoder(deep.requires_grad_(), fine.requires_grad_()).square().mean().backward()
    assert all(x.grad.any() for x in (deep, fine, *decoder.parameters()))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_as_many_convolutions_refine_as_one_asks_for(number):
    decoder = Decoder(6, 3, out_channels=4, num_convs=number)
    convs = [module for module in decoder.refine.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.in_channels for conv in convs] == [6 + 48, 4, 4][:number]
    assert decoder(torch.zeros(1, 6, 3, 3), torch.zeros(1, 3, 9, 9)).shape == (1, 4, 9, 9)


def test_without_a_convolution_nothing_is_refined():
    with pytest.raises(ValueError, match="num_convs must be 1 or more, got 0"):
        Decoder(6, 3, num_convs=0)


def test_what_stands_between_the_halves_is_a_choice():
    decoder = Decoder(6, 3, separable=True, between="nothing")
    assert [len(block) for block in decoder.refine] == [4, 4]


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_corners_of_the_deep_map_are_aligned_on_demand(align_corners):
    decoder = Decoder(6, 3, reduced_channels=2, align_corners=align_corners)
    seen = []
    decoder.refine.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    deep = torch.randn(1, 6, 3, 4)
    decoder(deep, torch.randn(1, 3, 9, 10))
    expected = F.interpolate(deep, size=(9, 10), mode="bilinear", align_corners=align_corners)
    assert torch.equal(seen[0][:, :6], expected)


def test_the_names_of_its_weights_stay():
    # Model files have them.
    weights = {name for name, _ in Decoder(6, 3, separable=True).named_parameters()}
    assert weights == {
        *(f"reduce.{name}" for name in ("0.weight", "1.weight", "1.bias")),
        *(
            f"refine.{k}.{name}"
            for k in (0, 1)
            for name in ("0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias")
        ),
    }
