import io

import pytest
from rich.console import Console

from atrous.train import train
from atrous.train.progress import ConsoleProgress


def _told(tmp_path, recipe, *, terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=160, highlight=False)
    train(recipe, tmp_path, progress=ConsoleProgress(console))
    return text.getvalue()


def test_a_terminal_sees_loss_rate_speed_time_left_and_each_class(tmp_path, tiny_recipe):
    told = _told(tmp_path, tiny_recipe("train.max_steps=12"), terminal=True)
    for part in ("loss ", "lr ", "images/s", "12/12", "val mIoU", "disc", "the best so far"):
        assert part in told


def test_the_bar_goes_on_after_a_validation(tmp_path, tiny_recipe):
    drawn = {}

    class Watched(ConsoleProgress):
        def step(self, step):
            super().step(step)
            drawn[step] = self._bar.live.is_started

    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    train(tiny_recipe("train.max_steps=8"), tmp_path, progress=Watched(console))
    assert drawn == dict.fromkeys(range(1, 9), True)  # there is a validation after step 6


def test_a_file_gets_lines_without_control_characters(tmp_path, tiny_recipe, monkeypatch):
    monkeypatch.setattr("atrous.train.progress._LINE_EVERY_S", 0)
    told = _told(tmp_path, tiny_recipe("train.max_steps=10"), terminal=False)
    assert "\x1b" not in told
    assert "step 10/10  epoch 1.7  loss " in told
    assert "min left" in told


def test_a_note_is_a_line_of_its_own():
    text = io.StringIO()
    ConsoleProgress(Console(file=text, width=20, highlight=False)).note("a note longer than a line")
    assert text.getvalue() == "a note longer than a line\n"


@pytest.mark.parametrize(("waiting", "cure"), [(0.012, False), (0.2, True)])
def test_the_end_says_how_long_it_waited_for_data(waiting, cure):
    text = io.StringIO()
    ConsoleProgress(Console(file=text, width=200, highlight=False)).trained(90, waiting)
    share = f"{100 * waiting:.1f} % of the steps' time"
    assert f"trained for 1.5 min; {share} was spent waiting for data" in text.getvalue()
    assert ("data.workers" in text.getvalue()) == cure
