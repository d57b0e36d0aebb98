import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from atrous.nn import BatchNorm2d, ConvNormAct
from atrous.nn.conv import GlobalMean, classifier, moved, resize, set_rate, set_rates

SHAPES = [(2, 3, 1, 1), (1, 3, 1, 2), (1, 3, 5, 4), (4, 3, 2, 7)]


def spread(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """Give a batch norm numbers that show when they are left out."""
    with torch.no_grad():
        for k, tensor in enumerate((norm.weight, norm.bias, norm.running_mean, norm.running_var)):
            tensor.copy_(torch.linspace(0.3 + k, 1.7 + k, len(tensor)))
    return norm


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_torchs_on_more_than_one_value(shape, training):
    ours, theirs = spread(BatchNorm2d(3)), spread(nn.BatchNorm2d(3))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours.train(training)(x), theirs.train(training)(x))
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_batch_norm_of_one_value_is_by_the_running_statistics():
    norm = spread(BatchNorm2d(3, eps=0.5))
    x = torch.tensor([1.0, -2.0, 5.0]).view(1, 3, 1, 1)
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    by_hand = (x.flatten() - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    y = norm.train()(x)
    assert torch.allclose(y.flatten(), by_hand * norm.weight + norm.bias)
    assert torch.equal(y, norm.eval()(x))
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())


def test_batch_norm_of_one_value_is_where_torch_gives_up():
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))


def test_batch_norm_of_one_value_can_be_learned():
    norm = BatchNorm2d(3)
    norm(torch.ones(1, 3, 1, 1)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in norm.parameters())


@given(
    kernel_size=st.sampled_from([1, 3, 5]),
    rate=st.integers(1, 20),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    separable=st.booleans(),
)
def test_a_block_keeps_the_size_of_its_map(kernel_size, rate, height, width, separable):
    block = ConvNormAct(2, 3, kernel_size=kernel_size, rate=rate, separable=separable)
    assert block(torch.zeros(2, 2, height, width)).shape == (2, 3, height, width)


@given(
    kernel_size=st.sampled_from([1, 3, 5]),
    rate=st.integers(1, 12),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 999),
)
def test_its_convolution_is_that_of_the_definition(
    looped_conv, kernel_size, rate, height, width, channels, seed
):
    generator = torch.Generator().manual_seed(seed)
    conv = ConvNormAct(*channels, kernel_size=kernel_size, rate=rate)[0].double()
    x = torch.randn(1, channels[0], height, width, generator=generator, dtype=torch.double)
    expected = looped_conv(x[0].numpy(), conv.weight.detach().numpy(), rate)
    assert np.abs(conv(x)[0].detach().numpy() - expected).max() < 1e-10


@given(
    rate=st.integers(1, 12), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0)
)
def test_the_depthwise_convolution_is_that_of_the_definition(
    looped_conv, rate, height, width, seed
):
    conv = ConvNormAct(3, 2, kernel_size=3, rate=rate, separable=True)[0].double()
    generator = torch.Generator().manual_seed(seed % 1000)
    x = torch.randn(1, 3, height, width, generator=generator, dtype=torch.double)
    weight = np.zeros((3, 3, 3, 3))
    for channel in range(3):
        weight[channel, channel] = conv.weight[channel, 0].detach().numpy()
    expected = looped_conv(x[0].numpy(), weight, rate)
    assert np.abs(conv(x)[0].detach().numpy() - expected).max() < 1e-10


@given(
    height=st.integers(1, 9), width=st.integers(1, 9), more=st.integers(0, 9), seed=st.integers(0)
)
def test_a_rate_beyond_the_map_leaves_the_centre_tap(height, width, more, seed):
    rate = max(height, width) + more
    conv = ConvNormAct(3, 4, kernel_size=3, rate=rate)[0]
    # Small whole numbers: their sums are exact in any order.
    generator = torch.Generator().manual_seed(seed % 1000)
    x = torch.randint(-9, 10, (2, 3, height, width), generator=generator).float()
    weight = torch.randint(-9, 10, conv.weight.shape, generator=generator).float()
    conv.weight.data.copy_(weight)
    assert torch.equal(conv(x), F.conv2d(x, weight[:, :, 1:2, 1:2]))


def test_a_block_is_convolution_norm_and_relu():
    conv, norm, relu = ConvNormAct(3, 4, kernel_size=3, rate=6)
    assert (conv.kernel_size, conv.dilation, conv.groups, conv.bias) == ((3, 3), (6, 6), 1, None)
    assert isinstance(norm, BatchNorm2d)
    assert isinstance(relu, nn.ReLU)


def test_a_separable_block_has_norm_and_relu_behind_both_convolutions():
    depthwise, norm1, relu1, pointwise, norm2, relu2 = ConvNormAct(
        3, 4, kernel_size=3, rate=6, separable=True
    )
    assert (depthwise.groups, depthwise.out_channels, depthwise.dilation) == (3, 3, (6, 6))
    assert (pointwise.groups, pointwise.kernel_size, pointwise.dilation) == (1, (1, 1), (1, 1))
    assert (norm1.num_features, norm2.num_features) == (3, 4)
    assert isinstance(relu1, nn.ReLU)
    assert isinstance(relu2, nn.ReLU)


def test_a_1x1_has_nothing_to_separate():
    assert len(ConvNormAct(3, 4, separable=True)) == 3


@pytest.mark.parametrize(
    ("between", "kinds"),
    [("norm_act", [BatchNorm2d, nn.ReLU]), ("norm", [BatchNorm2d]), ("nothing", [])],
)
def test_what_stands_between_the_halves_is_a_choice(between, kinds):
    block = ConvNormAct(3, 4, kernel_size=3, separable=True, between=between)
    expected = [nn.Conv2d, *kinds, nn.Conv2d, BatchNorm2d, nn.ReLU]
    assert [type(layer) for layer in block] == expected
    # With one convolution nothing is between.
    assert len(ConvNormAct(3, 4, kernel_size=3, between=between)) == 3


def test_another_word_for_between_is_refused():
    with pytest.raises(ValueError, match="one of norm_act, norm, nothing, got 'relu'"):
        ConvNormAct(3, 4, kernel_size=3, separable=True, between="relu")


@given(
    before=st.integers(1, 9),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    kernel_size=st.sampled_from([1, 3, 5]),
    separable=st.booleans(),
)
def test_a_rate_can_be_set(before, rows, columns, kernel_size, separable):
    options = {"kernel_size": kernel_size, "separable": separable}
    block = ConvNormAct(2, 3, rate=before, **options).eval()
    assert block.rate == before
    block.rate = rows, columns
    assert block.rate == (rows if rows == columns else (rows, columns))
    built_so = ConvNormAct(2, 3, rate=(rows, columns), **options).eval()
    built_so.load_state_dict(block.state_dict())
    x = torch.randn(1, 2, 6, 11)
    assert block(x).shape == (1, 3, 6, 11)
    assert torch.equal(block(x), built_so(x))


def test_a_pair_is_the_rate_between_rows_and_between_columns():
    conv = nn.Conv2d(1, 1, 3, bias=False)
    set_rate(conv, (1, 3))
    conv.weight.data.fill_(1)
    point = torch.zeros(1, 1, 5, 9)
    point[..., 2, 4] = 1
    rows, columns = conv(point)[0, 0].nonzero().unbind(dim=1)
    assert rows.unique().tolist() == [1, 2, 3]
    assert columns.unique().tolist() == [1, 4, 7]


def test_a_refused_rate_leaves_the_convolution_as_it_was():
    conv = nn.Conv2d(3, 4, 4, padding=3, dilation=2)
    with pytest.raises(ValueError, match="kernel_size 4 at rate 3"):
        set_rate(conv, 3)
    assert (conv.dilation, conv.padding) == ((2, 2), (3, 3))


def test_the_rates_of_blocks_are_those_of_their_first_wide_convolution():
    bare = nn.Conv2d(3, 3, 3)
    deep = nn.Sequential(ConvNormAct(3, 4), ConvNormAct(4, 3, kernel_size=3, separable=True))
    set_rates([bare, deep], [5, 7])
    assert bare.dilation == (5, 5)
    assert [conv.dilation[0] for conv in deep.modules() if isinstance(conv, nn.Conv2d)] == [1, 7, 1]
    with pytest.raises(ValueError, match="shorter"):
        set_rates([bare, deep], [5])


def test_a_classifier_begins_without_preference():
    torch.manual_seed(0)
    conv = classifier(64, 128, 3, rate=6)
    assert conv.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not conv.bias.any()
    assert conv(torch.zeros(1, 64, 5, 7)).shape == (1, 128, 5, 7)


def test_weights_begin_with_the_variance_of_he_and_biases_with_zero():
    torch.manual_seed(0)
    conv = ConvNormAct(64, 128, kernel_size=3, bias=True)[0]
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    assert not conv.bias.any()


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd kernel_size"):
        ConvNormAct(3, 4, kernel_size=2)


def test_resizing_is_bilinear_between_the_centres_of_cells():
    line = torch.tensor([[[[0.0, 4.0]]]])
    assert resize(line, (1, 4)).flatten().tolist() == [0, 1, 3, 4]
    assert torch.equal(resize(line, torch.Size((1, 2))), line)


def test_resizing_with_corners_aligned_keeps_the_corners():
    line = torch.tensor([[[[0.0, 3.0]]]])
    assert resize(line, (1, 4), align_corners=True).flatten().tolist() == [0, 1, 2, 3]


def test_the_mean_over_a_map_is_one_cell():
    x = torch.arange(12.0).view(1, 2, 2, 3)
    assert GlobalMean()(x).tolist() == [[[[2.5]], [[8.5]]]]


@given(
    cells=st.sampled_from([-2.25, -1.0, -0.375, -0.25, 0.0, 0.5, 1.0, 1.5, 3.5]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    more=st.integers(0, 3),
)
def test_a_moved_map_is_interpolated_between_its_cells(cells, height, width, more):
    x = torch.randn(2, 3, height, width)
    expected = x.numpy()
    for axis in (2, 3):
        known, wanted = np.arange(x.shape[axis]), np.arange(x.shape[axis] + more) - cells
        expected = np.apply_along_axis(
            lambda line, known=known, wanted=wanted: np.interp(wanted, known, line), axis, expected
        )
    result = moved(x, cells, (height + more, width + more) if more else None)
    torch.testing.assert_close(result, torch.from_numpy(expected).float())
