"""What a person sees of a training: a bar with loss, rate, speed and time left, and scores."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)

from atrous.evaluate import Evaluation
from atrous.evaluate.table import score_table

Advance = Callable[[], int]
_LONG_WAIT = 0.05  # share of the time
_LINE_EVERY_S = 30.0  # where there is no terminal to draw a bar on


class Progress(Protocol):
    """What a training tells."""

    def training(self, step: int, total_steps: int, steps_per_epoch: float) -> Any:
        """Return a context manager that is entered for the whole loop."""
        ...

    def step(self, step: int) -> None:
        """A step was taken."""
        ...

    def report(self, loss: float, lr: float, images_per_second: float) -> None:
        """The mean loss since the last report, the backbone's learning rate, the speed."""
        ...

    def validation(self, images: int) -> Any:
        """Return a context manager that gives what to call after each image, to get its number."""
        ...

    def validated(self, step: int, evaluation: Evaluation, *, is_best: bool) -> None:
        """A validation has ended."""
        ...

    def trained(self, seconds: float, waiting: float) -> None:
        """The last step is taken: all the time, and the share of the steps' spent waiting."""
        ...

    def note(self, text: str) -> None:
        """Something happened that is worth a line."""
        ...


class SilentProgress:
    """Tells nothing."""

    @contextmanager
    def training(self, step: int, total_steps: int, steps_per_epoch: float) -> Iterator[None]:
        """Do nothing."""
        yield

    def step(self, step: int) -> None:
        """Do nothing."""

    def report(self, loss: float, lr: float, images_per_second: float) -> None:
        """Do nothing."""

    @contextmanager
    def validation(self, images: int) -> Iterator[Advance]:
        """Count."""
        yield count(1).__next__

    def validated(self, step: int, evaluation: Evaluation, *, is_best: bool) -> None:
        """Do nothing."""

    def trained(self, seconds: float, waiting: float) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


class ConsoleProgress:
    """Draws a bar on a terminal; elsewhere writes a line every half minute."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._numbers = ""
        self._last_line = 0.0

    @contextmanager
    def training(self, step: int, total_steps: int, steps_per_epoch: float) -> Iterator[None]:
        """Show the bar while the loop runs."""
        self._step, self._first_step = step, step
        self._total, self._per_epoch = total_steps, steps_per_epoch
        self._started = self._last_line = time.monotonic()
        self._task = self._bar.add_task("train", total=total_steps, completed=step, numbers="")
        with self._bar:
            yield

    def step(self, step: int) -> None:
        """Move the bar."""
        self._step = step
        epoch = f"epoch {step / self._per_epoch:.1f}/{self._total / self._per_epoch:.0f}"
        self._bar.update(self._task, completed=step, description=epoch)

    def report(self, loss: float, lr: float, images_per_second: float) -> None:
        """Show the numbers."""
        self._numbers = f"loss {loss:.4f}  lr {lr:.2e}  {images_per_second:.1f} images/s"
        self._bar.update(self._task, numbers=self._numbers)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line > _LINE_EVERY_S:
            self._last_line = now
            left = (now - self._started) / (self._step - self._first_step)
            left *= self._total - self._step
            self._console.print(
                f"step {self._step}/{self._total}  epoch {self._step / self._per_epoch:.1f}  "
                f"{self._numbers}  {left / 60:.0f} min left"
            )

    @contextmanager
    def validation(self, images: int) -> Iterator[Advance]:
        """Show a second bar."""
        task = self._bar.add_task("validate", total=images, numbers="images")
        numbers = count(1)

        def advance() -> int:
            self._bar.advance(task)
            return next(numbers)

        try:
            # Within the training's bar, or, for the last measurement, on its own.
            with nullcontext() if self._bar.live.is_started else self._bar:
                yield advance
        finally:
            self._bar.remove_task(task)

    def validated(self, step: int, evaluation: Evaluation, *, is_best: bool) -> None:
        """Print the score of each class."""
        best = ", the best so far" if is_best else ""
        self._console.print(f"step {step}: val mIoU {100 * evaluation.scores.mean_iou:.2f} %{best}")
        self._console.print(score_table(evaluation))

    def trained(self, seconds: float, waiting: float) -> None:
        """Print the line, and what helps where much time was spent waiting."""
        cure = "; data.workers=N reads with more processes" if waiting > _LONG_WAIT else ""
        self._console.print(
            f"trained for {seconds / 60:.1f} min; {100 * waiting:.1f} % of the steps' time "
            f"was spent waiting for data{cure}",
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        """Print the line."""
        self._console.print(text, soft_wrap=True)
