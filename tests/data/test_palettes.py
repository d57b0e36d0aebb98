import pytest

from atrous.data.palettes import default_palette


def test_begins_as_pascal_voc_does() -> None:
    assert default_palette(9) == (
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
    )


def test_colours_are_distinct_bytes() -> None:
    palette = default_palette(256)
    assert len(set(palette)) == 256
    assert all(0 <= channel <= 255 for color in palette for channel in color)


@pytest.mark.parametrize("num_colors", [-1, 257])
def test_refuses_numbers_it_has_no_colours_for(num_colors: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 256, got {num_colors}"):
        default_palette(num_colors)
