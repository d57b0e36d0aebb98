"""Which share of each picture is which class, one line per picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from atrous.cli.console import plain

_SMALLEST_SHARE = 0.01  # classes that cover less of a picture are not shown
_WIDEST_NAME = 40  # columns
_SIZE_WIDTH = len("12345x12345")

Color = tuple[int, int, int]


class ShareTable:
    """Lines of `photo  size  classes` in columns, each printed as soon as it is known.

    Args:
        console: Where to print.
        names: Of all photographs to come, so that the columns are known from the start.
    """

    def __init__(self, console: Console, names: Sequence[Path]) -> None:
        self.console = console
        widest = max(Text(plain(name)).cell_len for name in names)
        self.name_width = min(_WIDEST_NAME, max(len("photo"), widest))
        self._print(Text("photo", "bold"), Text("size", "bold"), Text("classes", "bold"))

    def add(
        self,
        name: Path,
        size: tuple[int, int],
        *,
        shares: Mapping[str, float],
        palette: Sequence[Color],
    ) -> None:
        """Print one photograph: its rows and columns, and the largest classes that fit a line."""
        height, width = size
        classes = self._largest(shares, palette)
        self._print(Text(plain(name)), Text(f"{width}x{height}"), classes)

    def _largest(self, shares: Mapping[str, float], palette: Sequence[Color]) -> Text:
        room = self.console.width - self.name_width - _SIZE_WIDTH - 4
        colored = sorted(zip(shares.items(), palette, strict=True), key=lambda one: -one[0][1])
        line = Text()
        for (name, share), color in colored:
            item = self._swatch(color).append(f"{plain(name)} {100 * share:.0f} %   ")
            if share < _SMALLEST_SHARE or line.cell_len + item.cell_len - 3 > room:
                break
            line.append_text(item)
        return line

    def _swatch(self, color: Color) -> Text:
        """Return a block of the class's colour, on terminals that have colours."""
        if self.console.color_system is None:
            return Text()
        return Text.assemble(("██", f"rgb({color[0]},{color[1]},{color[2]})"), " ")

    def _print(self, name: Text, size: Text, classes: Text) -> None:
        name.truncate(self.name_width, overflow="ellipsis", pad=True)
        size.truncate(_SIZE_WIDTH, pad=True)
        line = Text("  ").join((name, size, classes))
        line.rstrip()
        self.console.print(line, soft_wrap=True)
