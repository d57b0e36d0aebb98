import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atrous.data.doctor.rates import rate_findings


def test_a_rate_beyond_the_map_is_told_with_its_taps():
    (finding,) = rate_findings((97, 129), output_stride=16, rates=(2, 6, 12))
    assert (finding.kind, finding.severity) == ("dead-taps", "warning")
    assert finding.what == (
        "a crop of 129 x 97 is a map of 9 x 7 cells, where of the 9 taps at rate 12 only 1.0 fall "
        "inside"
    )
    assert finding.cure == "train with --set data.crop_size=[385,385]"  # 2 would become 0


def test_rates_that_suit_the_crop_are_told():
    (finding,) = rate_findings((161, 161), output_stride=16, rates=(6, 12, 18))
    assert finding.cure == (
        "train with --set data.crop_size=[577,577] or --set model.rates=[1,3,5]"
    )


@pytest.mark.parametrize(
    ("crop", "rates", "kernel_size"),
    [((513, 513), (6, 12, 18), 3), ((97, 97), (), 3), ((33, 33), (4,), 4)],
)
def test_what_fits_or_has_no_centre_is_fine(crop, rates, kernel_size):
    assert rate_findings(crop, output_stride=16, rates=rates, kernel_size=kernel_size) == []


def test_pairs_are_judged_along_each_axis():
    (finding,) = rate_findings((513, 65), output_stride=16, rates=((6, 2), (6, 6)))
    assert "at rate (6, 6) only" in finding.what


@given(
    st.tuples(st.integers(16, 400), st.integers(16, 400)),
    st.sampled_from([4, 8, 16, 32]),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_both_cures_cure(crop, output_stride, rates):
    found = rate_findings(crop, output_stride=output_stride, rates=rates)
    if not found:
        return
    height, width = re.search(r"crop_size=\[(\d+),(\d+)\]", found[0].cure).groups()
    larger = (int(height), int(width))
    assert rate_findings(larger, output_stride=output_stride, rates=rates) == []
    if fitting := re.search(r"model.rates=\[([\d,]+)\]", found[0].cure):
        suited = tuple(map(int, fitting[1].split(",")))
        assert len(suited) == len(rates)
        assert min(suited) >= 1
        assert rate_findings(crop, output_stride=output_stride, rates=suited) == []
