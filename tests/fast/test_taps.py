import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from atrous.fast.taps import TapsAsChannels, keeps_size, without_dead_taps

sides = st.integers(1, 12)
rates = st.tuples(st.integers(1, 9), st.integers(1, 9))


def atrous(rate, *, kernel=(3, 3)):
    padding = tuple(r * (k // 2) for r, k in zip(rate, kernel, strict=True))
    return nn.Conv2d(3, 4, kernel, padding=padding, dilation=rate)


@given(height=sides, width=sides, rate=rates, kernel=st.sampled_from([(3, 3), (5, 3), (1, 3)]))
def test_shifted_sums_are_the_convolution(height, width, rate, kernel):
    conv, x = atrous(rate, kernel=kernel), torch.randn(2, 3, height, width)
    torch.testing.assert_close(TapsAsChannels(conv)(x), conv(x), atol=1e-5, rtol=1e-5)


def test_taps_that_fall_on_padding_everywhere_are_not_computed(monkeypatch):
    conv, computed = TapsAsChannels(atrous((4, 9))), []
    plain = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda x, w: computed.append(len(w) // 4) or plain(x, w))
    for size in ((5, 10), (5, 9), (4, 10), (4, 9)):
        conv(torch.randn(1, 3, *size))
    assert computed == [9, 3, 3, 1]


@given(height=sides, width=sides, rate=rates)
def test_without_dead_taps_is_the_convolution(height, width, rate):
    conv = atrous(rate)
    lean = without_dead_taps(conv, (height, width))
    for rows, columns in ((height, width), (1, width), (height, 1)):  # smaller maps too
        x = torch.randn(1, 3, rows, columns)
        torch.testing.assert_close(lean(x), conv(x), atol=1e-5, rtol=1e-5)
    assert lean.kernel_size == (1 if rate[0] >= height else 3, 1 if rate[1] >= width else 3)


def test_a_larger_map_would_show_the_taps_left_out():
    conv = atrous((4, 4))
    x = torch.randn(1, 3, 9, 9)
    assert not torch.allclose(without_dead_taps(conv, (4, 4))(x), conv(x), atol=1e-3)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=8, dilation=8, groups=4),
        nn.Conv2d(4, 4, 3, dilation=8),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
    ],
)
def test_other_convolutions_are_refused(conv):
    with pytest.raises(ValueError, match="expected a dense convolution that keeps"):
        TapsAsChannels(conv)


def test_what_keeps_the_size_is_known():
    assert keeps_size(nn.Conv2d(3, 3, 3, padding=2, dilation=2))
    assert not keeps_size(nn.Conv2d(3, 3, 3, padding=1, dilation=2))
    assert not keeps_size(nn.Conv2d(3, 3, 2))
    assert without_dead_taps(odd := nn.Conv2d(3, 3, 3, dilation=9), (4, 4)) is odd
