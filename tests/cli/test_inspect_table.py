import pytest

from atrous.cli.inspect_table import short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1k"),
        (131_328, "131k"),
        (5_843_575_520, "5.84G"),
        (999_499_999, "999M"),
        (999_600_000, "1G"),
        (65535**3 * 9, "2,533T"),
    ],
)
def test_large_numbers_have_three_digits(number, text):
    assert short(number) == text
