import re

import pytest

from atrous.inspect.drawings.tap_curve import tap_curve, tap_shares
from atrous.nn.geometry import useful_taps

# Mean shares of useful taps on these maps, to three places.
PUBLISHED = {33: (0.772, 0.574, 0.405), 65: (None, 0.769, None)}


@pytest.mark.parametrize("side", [33, 65])
@pytest.mark.parametrize("rate", [6, 12, 18])
def test_a_point_of_the_curves_is_the_closed_form(side, rate):
    shares = {weights: line[rate - 1] for weights, line in tap_shares(side, side).items()}
    # With r cells at either edge that lack a tap along each axis, and 2 r below the side.
    inner = max(0, side - 2 * rate)
    if 2 * rate <= side:
        assert shares[9] == pytest.approx(inner**2 / side**2)
        assert shares[6] == pytest.approx(2 * inner * 2 * rate / side**2)
        assert shares[4] == pytest.approx((2 * rate) ** 2 / side**2)
    assert sum(shares.values()) == pytest.approx(1)
    mean = sum(weights * share for weights, share in shares.items())
    assert mean == pytest.approx(useful_taps(rate, side, side))


@pytest.mark.parametrize("side", PUBLISHED)
def test_the_means_of_the_curves_are_the_published_ones(side):
    for rate, published in zip((6, 12, 18), PUBLISHED[side], strict=True):
        lines = tap_shares(side, side).items()
        mean = sum(weights * line[rate - 1] for weights, line in lines) / 9
        if published is not None:
            assert round(mean, 3) == published


def test_the_curves_of_figure_4_end_in_a_single_weight():
    shares = tap_shares(65, 65, most_rate=100)
    assert list(shares) == [9, 6, 4, 2, 1]
    assert shares[9][0] > 0.9
    assert shares[1][64:] == [1.0] * 36
    assert shares[9][32] == 0


def test_a_kernel_of_25_weights_has_its_own_curves():
    assert max(tap_shares(33, 33, kernel_size=5)) == 25


def test_the_drawing_shows_percent_over_the_rate():
    drawing = tap_curve(65, 65)
    assert drawing.count("<polyline") == 5
    assert re.search(r"<title>rate 12: 9 39\.79, 6 46\.58, 4 13\.63", drawing)
