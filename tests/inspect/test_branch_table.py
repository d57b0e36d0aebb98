import pytest

from atrous.inspect.branch_table import branch_table, suggested_rates
from atrous.models import create_model
from atrous.nn import ASPP, DPC, Cascade, LargeFOV
from atrous.nn.geometry import useful_taps

# Shares of useful taps that follow from the closed form, as published for these maps.
PUBLISHED = {
    (33, 33): ((6, 12, 18), (0.772, 0.574, 0.405)),
    (65, 65): ((12, 24, 36), (0.769, 0.568, 0.398)),
    (23, 30): ((6, 12, 18), (0.716, 0.478, 0.287)),
    (45, 60): ((12, 24, 36), (0.713, 0.473, 0.280)),
    (64, 128): ((12, 24, 36), (0.820, 0.656, 0.508)),
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_shares_of_useful_taps_are_the_published_ones(size):
    rates, shares = PUBLISHED[size]
    table = branch_table(ASPP(8, 4, rates=rates), (1, 8, *size))
    found = [round(row.useful, 3) for row in table.rows if row.rate]
    assert found == pytest.approx(shares, abs=0.0011)


def test_a_model_is_told_in_image_pixels():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2)
    table = branch_table(model, (1, 3, 360, 480), effective={"rate 6": 99})
    assert (table.map_size, table.stride, table.unit) == ((23, 30), 16, "pixels")
    names = [row.name for row in table.rows]
    assert names == ["1x1", "rate 6", "rate 12", "rate 18", "image"]
    point, six, twelve, _, image = table.rows
    assert six.reach == (2 * 6 * 16, 2 * 6 * 16)
    assert twelve.field[0] - point.field[0] == 2 * 12 * 16
    assert (six.effective, twelve.effective) == (99, None)
    assert image.sees_all
    assert not six.sees_all
    assert (table.least_side, table.whole_side) == (18 * 16 + 1, 36 * 16 + 1)


def test_below_the_least_side_the_widest_kernel_is_a_point():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2)
    side = branch_table(model, (1, 3, 65, 65)).least_side
    below, above = (branch_table(model, (1, 3, one, one)) for one in (side - 1, side))
    assert below.rows[3].useful == pytest.approx(1 / 9)
    assert above.rows[3].useful > 1 / 9


def test_from_the_whole_side_on_a_cell_has_all_taps():
    pyramid = ASPP(8, 4, rates=(3, 7))
    side = branch_table(pyramid, (1, 8, 9, 9)).whole_side
    assert side == 15
    from atrous.nn.geometry import tap_histogram

    assert 9 in tap_histogram(7, side, side)
    assert 9 not in tap_histogram(7, side - 1, side - 1)


def test_a_warning_comes_below_three_of_nine_with_rates_that_suit():
    poor = branch_table(ASPP(8, 4, rates=(6, 12, 18)), (1, 8, 23, 30))
    assert poor.warning == "on a map of 23x30 cells rate 18 has 2.58 of its 9 taps inside"
    assert poor.suggested_rates == (3, 6, 9)
    assert "; rates 3, 6, 9 suit this map, or take a map of 29 cells along each" in poor.advice
    good = branch_table(ASPP(8, 4, rates=(6, 12, 18)), (1, 8, 33, 33))
    assert good.warning == good.advice == ""
    assert good.suggested_rates == (6, 12, 18)


def test_every_poor_branch_is_named_with_the_image_that_suits():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, rates=(12, 24, 36))
    table = branch_table(model, (1, 3, 256, 256))
    assert table.advice == (
        "on a map of 16x16 cells rate 24 and rate 36 are plain 1x1 convolutions and rate 12 "
        "has 2.25 of its 9 taps inside; rates 3, 6, 9 suit this map, or take images of 897 pixels "
        "along each side"
    )
    assert branch_table(model, (1, 3, 897, 897)).warning == ""
    assert "rate 36" in branch_table(model, (1, 3, 896, 896)).warning


def test_rates_that_differ_along_the_axes_are_told_by_both():
    table = branch_table(DPC(8, 4), (1, 8, 33, 33))
    uneven = table.rows[4]
    assert (uneven.name, uneven.reach) == ("rate 6x21", (12, 42))
    assert uneven.useful == pytest.approx(useful_taps((6, 21), 33, 33) / 9)
    assert (table.least_side, table.whole_side) == (15 + 1, 2 * 21 + 1)
    below, above = (branch_table(DPC(8, 4), (1, 8, side, side)) for side in (15, 16))
    assert "rate 18x15 is a plain 1x1" in below.warning
    assert "a plain 1x1" not in above.warning.replace("rate 18x15", "")
    assert all(row.useful > 1 / 9 for row in above.rows)


def test_of_several_sizes_of_the_image_its_own_counts():
    words = {"backbone": "vgg16", "num_classes": 2}
    one = create_model("deeplabv2", **words)
    several = create_model("deeplabv2", **words, scales=(1.0, 0.5))
    assert branch_table(several, (1, 3, 129, 129)) == branch_table(one, (1, 3, 129, 129))


def test_suggested_rates_end_on_the_smallest_map():
    assert suggested_rates(ASPP(8, 4, rates=(6, 12, 18)), (1, 1)) == (1, 1, 1)


def test_the_units_of_a_cascade_multiply_its_rates():
    table = branch_table(Cascade(8, rates=(2, 4), multi_grid=(1, 2)), (1, 8, 33, 33))
    mean = (useful_taps(2, 33, 33) + useful_taps(4, 33, 33)) / 2 / 9
    assert table.rows[0].useful == pytest.approx(mean)
    assert table.whole_side == 2 * 4 * 2 + 1


def test_an_even_kernel_has_no_centre_to_count_from():
    pyramid = LargeFOV(8, 3, 4, kernel_size=4, channels=4)
    (row,) = branch_table(pyramid, (1, 8, 33, 33)).rows
    assert (row.useful, row.reach) == (None, (12, 12))


def test_a_network_without_rates_has_no_table():
    model = create_model("lraspp", backbone="test_resnet", num_classes=2)
    assert branch_table(model, (1, 3, 65, 65)) is None


def test_words_leave_out_what_there_is_not():
    table = branch_table(ASPP(8, 4, rates=(6,)), (1, 8, 33, 33), effective={"image": 5})
    point, six, image = (row.words() for row in table.rows)
    assert point == ("1x1", "", "", "1", "")
    assert six == ("rate 6", "77.2 %", "12", "13", "")
    assert image == ("image", "", "", "whole image", "5")
