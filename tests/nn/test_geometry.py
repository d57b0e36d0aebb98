from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from atrous.nn.geometry import (
    Layer,
    effective_kernel,
    output_size,
    rates_for,
    receptive_field,
    same_padding,
    tap_histogram,
    useful_taps,
)

lengths = st.integers(1, 30)
rates = st.integers(1, 40)
odd = st.sampled_from([1, 3, 5, 7])


def taps(kernel_size: int, rate: int) -> range:
    """Where the taps of a kernel lie, the first at 0."""
    return range(0, kernel_size * rate, rate)


@given(kernel_size=st.integers(1, 9), rate=rates)
def test_an_effective_kernel_reaches_from_the_first_tap_to_the_last(kernel_size, rate):
    assert effective_kernel(kernel_size, rate) == taps(kernel_size, rate)[-1] + 1


@given(kernel_size=odd, rate=rates, size=lengths)
def test_same_padding_keeps_the_size(kernel_size, rate, size):
    padding = same_padding(kernel_size, rate)
    assert output_size(size, kernel_size, padding=padding, rate=rate) == size


@pytest.mark.parametrize("rate", [1, 6, 12, 18, 24])
def test_same_padding_of_a_3x3_is_its_rate(rate):
    assert same_padding(3, rate) == rate


def test_an_even_span_has_no_same_padding():
    with pytest.raises(ValueError, match=r"4 at rate 3 spans 10 cells.*odd kernel_size"):
        same_padding(4, 3)


@given(
    size=st.integers(1, 80),
    kernel_size=st.integers(1, 7),
    stride=st.integers(1, 4),
    padding=st.integers(0, 12),
    rate=st.integers(1, 12),
)
def test_output_size_is_that_of_torch(size, kernel_size, stride, padding, rate):
    assume(size + 2 * padding >= effective_kernel(kernel_size, rate))
    conv = nn.Conv1d(1, 1, kernel_size, stride, padding, rate)
    expected = conv(torch.zeros(1, 1, size)).shape[-1]
    assert output_size(size, kernel_size, stride=stride, padding=padding, rate=rate) == expected


layers = st.builds(Layer, st.integers(1, 5), st.integers(1, 3), st.integers(1, 6))


@given(stack=st.lists(layers, max_size=4))
def test_a_receptive_field_is_as_wide_as_the_gradient(stack):
    field = receptive_field(stack)
    convs = [nn.Conv1d(1, 1, k, stride, dilation=rate, bias=False) for k, stride, rate in stack]
    image = torch.zeros(1, 1, field + 7, requires_grad=True)
    y = image
    for conv in convs:
        nn.init.ones_(conv.weight)
        y = conv(y)
    (gradient,) = torch.autograd.grad(y[0, 0, 0], image)
    seen = gradient[0, 0].nonzero()
    assert seen.max() - seen.min() + 1 == field


def test_layers_may_be_plain_tuples_with_defaults():
    assert receptive_field([(3,), (3, 2), (3, 1, 12)]) == receptive_field(
        [Layer(3), Layer(3, 2), Layer(3, 1, 12)]
    )
    assert receptive_field([]) == 1


@given(rate=rates, height=st.integers(1, 20), width=st.integers(1, 20), kernel_size=odd)
def test_useful_taps_are_as_counted(rate, height, width, kernel_size):
    reach = kernel_size // 2
    offsets = [rate * k for k in range(-reach, reach + 1)]

    def inside(length: int) -> list[int]:
        return [sum(0 <= cell + offset < length for offset in offsets) for cell in range(length)]

    counts = [rows * columns for rows in inside(height) for columns in inside(width)]
    mean = sum(counts) / len(counts)
    assert useful_taps(rate, height, width, kernel_size) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "mean"),
    [
        (6, 7.926),
        (12, 6.921),
        (18, 5.984),
        (24, 5.115),
        (36, 3.581),
        (48, 2.320),
        (64, 1.062),
        (65, 1),
        (99, 1),
    ],
)
def test_useful_taps_of_a_3x3_on_a_65x65_map(rate, mean):
    # The means of the curves in arXiv:1706.05587, figure 4.
    assert round(useful_taps(rate, 65, 65), 3) == mean


@given(height=lengths, width=lengths, more=st.integers(0, 100))
def test_only_the_centre_is_left_at_a_rate_beyond_both_sides(height, width, more):
    assert useful_taps(max(height, width) + more, height, width) == 1


@given(down=rates, right=rates, height=lengths, width=lengths, kernel_size=odd)
def test_rows_and_columns_may_have_rates_of_their_own(down, right, height, width, kernel_size):
    # Across a line of one cell only the centre tap is inside, so each factor counts one axis.
    across = useful_taps(down, height, 1, kernel_size)
    along = useful_taps(right, 1, width, kernel_size)
    pair = (down, right)
    assert useful_taps(pair, height, width, kernel_size) == pytest.approx(across * along, rel=1e-12)
    histogram = tap_histogram(pair, height, width, kernel_size)
    mean = sum(taps * share for taps, share in histogram.items())
    assert mean == pytest.approx(across * along, rel=1e-12)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("rate", range(1, 15))
def test_taps_are_as_many_as_convolving_a_map_of_ones_counts(kernel_size, rate):
    kernel = torch.ones(1, 1, kernel_size, kernel_size)
    padding = same_padding(kernel_size, rate)
    for height, width in product(range(1, 13), repeat=2):
        ones = torch.ones(1, 1, height, width)
        counts = F.conv2d(ones, kernel, padding=padding, dilation=rate).int().flatten()
        taps, cells = counts.unique(return_counts=True)
        expected = dict(zip(taps.tolist(), (cells / counts.numel()).tolist(), strict=True))
        assert tap_histogram(rate, height, width, kernel_size) == pytest.approx(expected, abs=1e-6)
        mean = counts.double().mean().item()
        assert useful_taps(rate, height, width, kernel_size) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "shares"),
    [
        (6, {9: 0.6649, 6: 0.3011, 4: 0.0341}),
        (12, {9: 0.3979, 6: 0.4658, 4: 0.1363}),
        (18, {9: 0.1991, 6: 0.4942, 4: 0.3067}),
        (24, {9: 0.0684, 6: 0.3863, 4: 0.5453}),
        (36, {4: 0.7962, 2: 0.1922, 1: 0.0116}),
        (65, {1: 1}),
    ],
)
def test_tap_histograms_of_a_3x3_on_a_65x65_map(rate, shares):
    # Ends of the curves in arXiv:1706.05587, figure 4.
    histogram = tap_histogram(rate, 65, 65)
    assert {taps: round(share, 4) for taps, share in histogram.items()} == shares
    assert list(histogram) == sorted(histogram, reverse=True)


@given(rate=rates, height=lengths, width=lengths, kernel_size=odd)
def test_a_tap_histogram_is_whole_and_its_mean_is_useful_taps(rate, height, width, kernel_size):
    histogram = tap_histogram(rate, height, width, kernel_size)
    assert sum(histogram.values()) == pytest.approx(1, rel=1e-12)
    mean = sum(taps * share for taps, share in histogram.items())
    assert useful_taps(rate, height, width, kernel_size) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("count", [useful_taps, tap_histogram])
@pytest.mark.parametrize(
    "numbers", [(1, 9, 9, 4), (0, 9, 9, 3), ((1, 0), 9, 9, 3), (1, 0, 9, 3), (1, 9, 0, 3)]
)
def test_taps_need_a_centre_and_a_map(count, numbers):
    with pytest.raises(ValueError, match="odd kernel_size"):
        count(*numbers)


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [(4, (24, 48, 72)), (8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))],
)
def test_the_rates_of_the_papers_follow_the_stride(output_stride, expected):
    assert rates_for(output_stride) == expected


def test_other_rates_follow_too_and_never_fall_below_one():
    assert rates_for(8, (2, 4, 8, 12)) == (4, 8, 16, 24)
    assert rates_for(32, (1, 2)) == (1, 1)


def test_rates_may_be_meant_for_another_stride():
    # v2 takes (6, 12, 18, 24) at stride 8 (arXiv:1606.00915, section 4.1.2), v1 takes 12.
    assert rates_for(8, (6, 12, 18, 24), at_stride=8) == (6, 12, 18, 24)
    assert rates_for(16, (6, 12, 18, 24), at_stride=8) == (3, 6, 9, 12)
    assert rates_for(4, (12,), at_stride=8) == (24,)


def test_pairs_follow_row_by_row_and_column_by_column():
    assert rates_for(8, [(1, 3), (6, 12)]) == ((2, 6), (12, 24))
    assert rates_for(32, [(1, 3)], at_stride=8) == ((1, 1),)


@given(rates=st.lists(rates, min_size=1), stride=st.sampled_from([4, 8, 16, 32]))
def test_rates_at_their_own_stride_stay(rates, stride):
    assert rates_for(stride, rates, at_stride=stride) == tuple(rates)


@pytest.mark.parametrize("output_stride", [0, 2, 7, 64])
def test_other_strides_are_refused(output_stride):
    with pytest.raises(
        ValueError, match=f"output_stride must be 4, 8, 16 or 32, got {output_stride}"
    ):
        rates_for(output_stride)
    with pytest.raises(ValueError, match=f"at_stride must be 4, 8, 16 or 32, got {output_stride}"):
        rates_for(16, at_stride=output_stride)
