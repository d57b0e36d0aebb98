"""Writes `commands.md` from the help texts: `python docs/make_commands.py`."""

import contextlib
import io
import os
from pathlib import Path

from atrous.cli.main import COMMANDS, main

_HEAD = """\
# Commands

What `atrous COMMAND --help` prints, for every command. `--debug`, anywhere, shows the traceback of
an error; [exit codes](exit-codes.md) are the same for all.
"""


def help_of(command: str) -> str:
    """Return the help text of a command, 88 columns wide."""
    words = io.StringIO()
    os.environ["COLUMNS"] = "88"
    with contextlib.redirect_stdout(words):
        main([command, "--help"])
    return "\n".join(line.rstrip() for line in words.getvalue().strip().splitlines())


def page() -> str:
    """Return the whole page."""
    parts = [f"## {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "\n".join([_HEAD, *parts])


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(page(), encoding="utf-8")
