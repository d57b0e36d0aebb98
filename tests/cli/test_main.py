import os
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from atrous import __version__
from atrous.cli import main
from atrous.cli.main import COMMANDS, Entry
from atrous.errors import DataError, DivergedError, ResourceError, SomeInputsFailedError


@pytest.fixture
def failing(monkeypatch):
    """Make `atrous fail` a command that ends with a given exception."""

    def install(error):
        @dataclass
        class Fail:
            def run(self):
                raise error

        monkeypatch.setitem(sys.modules, "fail_command", SimpleNamespace(Fail=Fail))
        monkeypatch.setitem(COMMANDS, "fail", Entry("fail_command", "Fail", "fail"))

    return install


def run(*words, **options):
    """Run `python -m atrous` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "atrous", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **options,
    )


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, entry in COMMANDS.items():
        assert f"  {name:<10}{entry.summary}" in lines


def test_help_and_the_help_of_each_command_load_nothing_heavy():
    script = (
        "import sys\n"
        "from atrous.cli import main\n"
        f"commands = {list(COMMANDS)}\n"
        "for words in [[], *([command] for command in commands)]:\n"
        "    assert main([*words, '--help']) == 0, words\n"
        "heavy = {'torch', 'torchvision', 'timm', 'lightning', 'matplotlib', 'numpy', 'PIL'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.endswith("heavy: []\n"), done.stdout + done.stderr


def test_it_is_a_module_too():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"atrous {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"Example: atrous {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no command is given"),
        (["predit"], "command 'predit' is unknown; did you mean predict?"),
        (["xyz"], "command 'xyz' is unknown; use predict, "),
        (["--versoin"], "option '--versoin' is unknown; did you mean --version?"),
    ],
)
def test_words_that_are_no_command_end_with_2(words, complaint, capsys):
    assert main(words) == 2
    assert f"error: {complaint}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "photo.jpg", "--fromat", "mask"],
        ["predict", "photo.jpg", "--out"],
        ["evaluate"],
        ["evaluate", "--data", "x", "--ignore", "void"],
        ["models", "extra"],
    ],
)
def test_wrong_options_end_with_2_and_print_nothing_on_stdout(words, capsys):
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f"atrous {words[0]} --help" in output.err


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (DataError("a.png: is empty; copy it anew"), 3, "error: a.png: is empty; copy it anew"),
        (DivergedError("step 7"), 4, "error: step 7"),
        (ResourceError("out: is full"), 5, "error: out: is full"),
        (MemoryError(), 5, "error: memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 5, "error: memory ran out"),
        (SomeInputsFailedError("failures.jsonl: 1"), 6, "error: failures.jsonl: 1"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (KeyError("lost"), 1, "error: a bug in atrous (KeyError: 'lost'); run again with --debug"),
        (DataError("two\nlines \x1b[31m.png"), 3, r"error: two\nlines \x1b[31m.png"),
    ],
)
def test_each_error_is_one_line_and_an_exit_code(failing, capsys, error, exit_code, line):
    failing(error)
    assert main(["fail"]) == exit_code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(line)
    assert output.err.count("\n") == 1


def test_long_errors_stay_on_one_line(failing, capsys):
    failing(DataError("word " * 100))
    main(["fail"])
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(failing, capsys, words):
    failing(DataError("a.png: is empty"))
    assert main(words) == 3
    assert "Traceback" in capsys.readouterr().err


def test_after_two_dashes_debug_is_a_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--", "--debug"]) == 3
    error = capsys.readouterr().err
    assert "error: --debug: no such file" in error
    assert "Traceback" not in error


def test_a_reader_that_leaves_ends_it_quietly():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "atrous", "--help"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (141, b"")
