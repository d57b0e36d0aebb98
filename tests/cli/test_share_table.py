from io import StringIO
from pathlib import Path

from rich.console import Console

from atrous.cli.share_table import ShareTable

PALETTE = ((0, 0, 0), (0, 0, 255), (255, 0, 0))


def lines(names, shares, *, width=100, **options):
    """What is printed for photographs of one size that all have the same shares."""
    stream = StringIO()
    table = ShareTable(Console(file=stream, width=width, **options), [Path(name) for name in names])
    for name in names:
        table.add(Path(name), (480, 640), shares=shares, palette=PALETTE[: len(shares)])
    return stream.getvalue().splitlines()


def test_columns_line_up_and_the_largest_class_comes_first():
    assert lines(["a.jpg", "trip/b.jpg"], {"sky": 0.25, "road": 0.7, "car": 0.05}) == [
        "photo       size         classes",
        "a.jpg       640x480      road 70 %   sky 25 %   car 5 %",
        "trip/b.jpg  640x480      road 70 %   sky 25 %   car 5 %",
    ]


def test_classes_below_one_percent_are_left_out():
    assert lines(["a.jpg"], {"sky": 0.995, "car": 0.005})[1].endswith("sky 100 %")


def test_a_line_holds_as_many_classes_as_fit():
    line = lines(["a.jpg"], {"sky": 0.5, "road": 0.3, "car": 0.2}, width=44)[1]
    assert line == "a.jpg  640x480      sky 50 %   road 30 %"


def test_long_names_are_cut_and_odd_ones_escaped():
    (_, long, odd) = lines(["x" * 50 + ".jpg", "a\nb.jpg"], {"sky": 1.0})
    assert long.startswith("x" * 39 + "…  640x480")
    assert odd.startswith(r"a\nb.jpg")


def test_colours_are_shown_where_there_are_any():
    line = lines(
        ["a.jpg"], {"sky": 0.4, "road": 0.6}, force_terminal=True, color_system="truecolor"
    )
    assert "\x1b[38;2;0;0;255m██\x1b[0m road 60 %" in line[1]
