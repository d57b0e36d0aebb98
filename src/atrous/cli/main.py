"""`atrous COMMAND …`: find the command, run it, and turn whatever happens into an exit code.

Only the chosen command is imported, and none imports torch before it runs: help is immediate.
"""

import difflib
import importlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from atrous import __version__
from atrous.cli.console import complain, results, warn
from atrous.errors import AtrousError, ResourceError, UsageError

_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141


class Entry(NamedTuple):
    """Where a command lives, and what it does in a few words."""

    module: str
    name: str
    summary: str


COMMANDS = {
    "predict": Entry("atrous.cli.predict", "Predict", "segment photographs: masks and overlays"),
    "train": Entry("atrous.cli.train", "Train", "train a model on pairs of images and masks"),
    "evaluate": Entry("atrous.cli.evaluate", "Evaluate", "score a model on labelled images"),
    "reproduce": Entry("atrous.cli.reproduce", "Reproduce", "train a table of a paper again"),
    "data": Entry("atrous.cli.data", "Data", "check a data set before it is trained on"),
    "inspect": Entry("atrous.cli.inspect", "Inspect", "look inside a model or a training"),
    "convert": Entry("atrous.cli.convert", "Convert", "read another library's checkpoint"),
    "export": Entry("atrous.cli.export", "Export", "write a model for ONNX, OpenVINO or torch"),
    "bench": Entry("atrous.cli.bench", "Bench", "time engines and other libraries in turn"),
    "recipes": Entry("atrous.cli.recipes", "Recipes", "list the recipes and the scores to expect"),
    "models": Entry("atrous.cli.models", "Models", "list the models that come with atrous"),
}


class Command(Protocol):
    """A dataclass whose fields are the options."""

    def run(self) -> None:
        """Do the work; an AtrousError says what went wrong."""
        ...


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        words: What follows `atrous`; by default the words this process was started with.

    Returns:
        0 done, 2 usage, 3 data, 4 diverged, 5 disk or memory, 6 some inputs failed, 130 Ctrl-C,
        141 nobody reads the output any more; 1 is a bug of atrous.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown escaped, and stops nothing.
            stream.reconfigure(errors="backslashreplace")
    words, debug = _take_debug(list(sys.argv[1:] if words is None else words))
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            _dispatch(words)
        sys.stdout.flush()
    except SystemExit as stop:  # tyro has printed help (0) or what is wrong with the options (2)
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException as error:
        if debug:
            traceback.print_exc()
        return _explain(error)
    return 0


def _take_debug(words: list[str]) -> tuple[list[str], bool]:
    """Remove `--debug`, wherever it stands among the options."""
    options = words[: words.index("--")] if "--" in words else words
    kept = [word for word in options if word != "--debug"]
    return kept + words[len(options) :], len(kept) < len(options)


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        results().print(_help(), soft_wrap=True)
        if not words:
            raise UsageError("no command is given")
    elif words[0] == "--version":
        results().print(f"atrous {__version__}")
    elif words[0] not in COMMANDS:
        raise UsageError(_unknown(words[0]))
    else:
        _parse(words[0], words[1:]).run()


def _parse(command: str, words: list[str]) -> Command:
    """Import a command's module and read its options."""
    import tyro

    entry = COMMANDS[command]
    options = getattr(importlib.import_module(entry.module), entry.name)
    return tyro.cli(
        options,
        prog=f"atrous {command}",
        args=words,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _help() -> str:
    commands = "\n".join(f"  {name:<10}{entry.summary}" for name, entry in COMMANDS.items())
    return f"""\
atrous {__version__}: semantic segmentation with the DeepLab family

usage: atrous COMMAND [OPTIONS]

{commands}

  atrous COMMAND --help    options of a command, with an example
  atrous --version         print the version
  --debug                  anywhere: show the traceback of an error

Start with: atrous predict photo.jpg"""


def _unknown(word: str) -> str:
    kind = "option" if word.startswith("-") else "command"
    known = ["--help", "--version"] if kind == "option" else list(COMMANDS)
    near = difflib.get_close_matches(word, known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
    return f"{kind} {word!r} is unknown; {cure}"


def _explain(error: BaseException) -> int:
    """Print one line about an error, and return the exit code it stands for."""
    if isinstance(error, BrokenPipeError):
        # Nobody reads on; unless stdout leads elsewhere, Python complains at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        complain("interrupted")
        return _EXIT_INTERRUPTED
    if isinstance(error, AtrousError):
        complain(error)
        return error.exit_code
    if _is_out_of_memory(error):
        complain("memory ran out; use smaller pictures or batches, or another --device")
        return ResourceError.exit_code
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    complain(f"a bug in atrous ({what}); run again with --debug for the traceback to report")
    return 1


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python or torch ran out of memory, without importing torch to ask."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
