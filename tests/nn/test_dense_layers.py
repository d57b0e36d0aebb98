import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from atrous.nn.dense_layers import (
    DilatedAvgPool2d,
    DilatedBlurPool2d,
    FixedPadding,
    PadFirst,
    SamePadding,
)


def dilated_mean(x, kernel, rate, pads, *, count_padding):
    """The mean of each window, tap by tap."""
    left, right, above, below = pads
    padded = F.pad(x, pads)
    inside = F.pad(torch.ones_like(x), pads, value=float(count_padding))
    rows = x.shape[-2] + above + below - rate * (kernel - 1)
    columns = x.shape[-1] + left + right - rate * (kernel - 1)
    total = torch.zeros(*x.shape[:2], rows, columns, dtype=x.dtype)
    counted = torch.zeros_like(total)
    for i in range(kernel):
        for j in range(kernel):
            window = (..., slice(i * rate, i * rate + rows), slice(j * rate, j * rate + columns))
            total += padded[window]
            counted += inside[window]
    return total / counted


@given(
    kernel=st.integers(2, 3),
    rate=st.integers(1, 3),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    count_padding=st.booleans(),
)
def test_dilated_averages_are_windows_with_holes(kernel, rate, pads, count_padding):
    pool = nn.AvgPool2d(kernel, stride=1, count_include_pad=count_padding)
    pool.__class__ = DilatedAvgPool2d
    pool.dilation, pool.pads = (rate, rate), FixedPadding(pads)
    x = torch.randn(2, 3, 9, 8, dtype=torch.double)
    expected = dilated_mean(x, kernel, rate, pads, count_padding=count_padding)
    assert (pool(x) - expected).abs().max() < 1e-12


def test_a_given_divisor_counts():
    pool = nn.AvgPool2d(2, stride=1, divisor_override=3)
    pool.__class__ = DilatedAvgPool2d
    pool.dilation, pool.pads = (2, 2), FixedPadding((0, 0, 0, 0))
    assert torch.allclose(pool(torch.ones(1, 1, 4, 4)), torch.full((1, 1, 2, 2), 4 / 3))


def test_blurring_with_a_rate_is_blurring_each_phase():
    blur = nn.Module()
    blur.__class__ = DilatedBlurPool2d
    blur.register_buffer(
        "filt", torch.tensor([1.0, 2, 1]).outer(torch.tensor([1.0, 2, 1]))[None, None]
    )
    blur.stride, blur.pad_mode, blur.dilation = 1, "reflect", (2, 2)
    blur.pads = FixedPadding((2, 2, 2, 2))
    x = torch.randn(1, 3, 9, 9)
    dense = blur(x)
    phase = F.pad(x[..., ::2, ::2], (1, 1, 1, 1), mode="reflect")
    expected = F.conv2d(phase, blur.filt.expand(3, 1, 3, 3), groups=3)
    assert torch.allclose(dense[..., ::2, ::2], expected, atol=1e-5)


@given(size=st.integers(1, 40), kernel=st.integers(1, 5), stride=st.sampled_from([1, 2]))
def test_same_padding_as_built_is_tensorflows(size, kernel, stride):
    padding = SamePadding((kernel, kernel), stride, (1, 1), stride, 1, 1)
    left, right, above, below = padding(torch.zeros(1, 1, size, size))
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    assert (left, above) == (total // 2, total // 2)
    assert (right, below) == (total - total // 2, total - total // 2)


@pytest.mark.parametrize("size", range(1, 34))
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_same_padding_of_a_layer_without_its_stride_keeps_the_size(size, lost):
    padding = SamePadding((3, 3), 2, (1, 1), 1, lost, lost)
    conv = nn.Conv2d(1, 1, 3, dilation=lost)
    conv.register_forward_pre_hook(PadFirst(padding))
    assert conv(torch.zeros(1, 1, size, size)).shape == (1, 1, size, size)


def test_padding_first_has_its_value_and_is_copied():
    pool = nn.MaxPool2d(2, stride=1)
    pool.register_forward_pre_hook(PadFirst(FixedPadding((0, 1, 0, 1)), float("-inf")))
    x = -torch.ones(1, 1, 3, 3)
    assert torch.equal(pool(x), x)
    assert torch.equal(copy.deepcopy(pool)(x), x)


def test_even_padding_is_what_layers_can_do_by_themselves():
    assert FixedPadding((1, 1, 2, 2)).is_even
    assert not FixedPadding((0, 1, 2, 2)).is_even
