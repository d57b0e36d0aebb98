import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from atrous.fast.engines.live_taps import LiveTaps, with_live_taps

sides = st.integers(1, 12)
rates = st.tuples(st.integers(1, 14), st.integers(1, 14))


@given(height=sides, width=sides, rate=rates, kernel=st.sampled_from([(3, 3), (5, 3), (1, 3)]))
def test_live_taps_are_the_convolution(height, width, rate, kernel):
    padding = tuple(r * (k // 2) for r, k in zip(rate, kernel, strict=True))
    conv = nn.Conv2d(3, 4, kernel, padding=padding, dilation=rate)
    x = torch.randn(2, 3, height, width)
    torch.testing.assert_close(LiveTaps(conv)(x), conv(x), atol=1e-5, rtol=1e-5)


def test_only_what_is_wide_is_replaced():
    def conv(rate, **keywords):
        return nn.Conv2d(4, 4, 3, padding=rate, dilation=rate, **keywords)

    convs = [conv(8), conv(7), conv(9, groups=2), conv(9, stride=2), nn.Conv2d(4, 4, 1)]
    network = with_live_taps(nn.Sequential(*convs))
    assert [isinstance(module, LiveTaps) for module in network] == [True] + 4 * [False]


def test_other_convolutions_are_refused():
    with pytest.raises(ValueError, match="keeps its map's size"):
        LiveTaps(nn.Conv2d(4, 4, 3, dilation=8))
