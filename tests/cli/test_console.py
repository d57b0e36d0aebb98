import io
import re
import sys

import pytest

from atrous.cli.console import complain, plain, progress, results, warn


class Terminal(io.StringIO):
    def isatty(self):
        return True


def plain_lines(text):
    """The text without what moves the cursor or sets a colour."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", text)


def open_terminal(monkeypatch, *streams):
    """Put one terminal behind streams of this process; pytest's own are no terminals."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream in streams:
        monkeypatch.setattr(sys, stream, terminal)
    return terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße 1.jpg", "Straße 1.jpg"),
        ("a\nb", r"a\nb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("bad\udcff.jpg", r"bad\udcff.jpg"),
        ("[red]", "[red]"),
    ],
)
def test_plain_text_is_one_line_without_power_over_the_terminal(text, shown):
    assert plain(text) == shown


def test_results_and_complaints_go_their_own_ways(capsys):
    results().print("[b]1[/b] :car: found")
    complain("a.png: [red] is bad")
    output = capsys.readouterr()
    assert output.out == "[b]1[/b] :car: found\n"
    assert output.err == "error: a.png: [red] is bad\n"


def test_there_is_no_bar_without_a_terminal(capsys):
    with progress("predict", 3) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_a_bar_for_more_than_one_but_pipes_never_do(capsys, monkeypatch):
    terminal = open_terminal(monkeypatch, "stderr")
    with progress("predict", 3) as advance:
        advance()
        results().print("a result")
        complain("a.png: is bad")
    assert "predict" in terminal.getvalue()
    assert "error: a.png: is bad\n" in plain_lines(terminal.getvalue())
    assert capsys.readouterr().out == "a result\n"


def test_lines_for_the_terminal_stand_above_the_bar(monkeypatch):
    terminal = open_terminal(monkeypatch, "stdout", "stderr")
    with progress("predict", 3) as advance:
        results().print("a result")
        advance()
    before_result = terminal.getvalue().partition("a result")[0]
    assert before_result.endswith("\r\x1b[2K")  # the bar's line is cleared first


def test_a_terminal_sees_no_bar_for_one(monkeypatch):
    terminal = open_terminal(monkeypatch, "stdout", "stderr")
    with progress("predict", 1) as advance:
        advance()
    assert terminal.getvalue() == ""


def test_a_warning_is_one_line(capsys):
    warn(UserWarning("rate 36\nis wide"), UserWarning, "file.py", 3)
    assert capsys.readouterr().err == "warning: rate 36\\nis wide\n"
