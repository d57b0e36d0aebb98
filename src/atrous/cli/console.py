"""What people see: results on stdout, progress and complaints on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_WIDTH_OF_A_PIPE = 160  # columns; wide enough that no table wraps

# The bar on the terminal, if there is one: lines printed through its console stand above it.
_bars: list[Progress] = []


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which is kept for bugs


def results() -> Console:
    """Return the console for what a command was asked for."""
    if _bars and sys.stdout.isatty():
        return _bars[-1].console
    return _console(sys.stdout.isatty(), stderr=False)


def messages() -> Console:
    """Return the console for progress and complaints."""
    return _bars[-1].console if _bars else _console(sys.stderr.isatty(), stderr=True)


def plain(text: object) -> str:
    r"""Return a text on one line, with characters that a terminal would obey or lacks escaped.

    Example:
        >>> plain("a\nb.jpg")
        'a\\nb.jpg'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def complain(message: object) -> None:
    """Print one line that begins with `error:`."""
    line = Text.assemble(("error: ", "bold red"), plain(message))
    console = messages()
    console.quiet = False  # of several processes, only the one that failed gets here
    console.print(line, soft_wrap=True)


def warn(message: Warning | str, *_: object) -> None:
    """Print one line that begins with `warning:`; it can stand for `warnings.showwarning`."""
    line = Text.assemble(("warning: ", "bold yellow"), plain(message))
    messages().print(line, soft_wrap=True)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal while more than one thing is done; yields what counts one more.

    Consoles asked for meanwhile print above the bar.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=messages(), transient=True) as bar:
        task = bar.add_task(title, total=total)
        _bars.append(bar)
        try:
            yield lambda: bar.advance(task)
        finally:
            _bars.remove(bar)


def _console(is_terminal: bool, *, stderr: bool) -> Console:
    width = None if is_terminal else _WIDTH_OF_A_PIPE
    console = _Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
    console.quiet = os.environ.get("RANK", "0") != "0"  # of torchrun's processes, the first speaks
    return console
