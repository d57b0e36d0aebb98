"""Where the time of a training goes: its steps, waiting for data in them, and all beside them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_KEPT = ("seconds", "seconds_in_steps", "seconds_waiting")  # by which names checkpoints hold them


class Stopwatch:
    """Adds up the time of a training, that of killed and resumed processes up to their checkpoints.

    Attributes:
        seconds: Time spent so far.
        seconds_in_steps: The same without validations and checkpoints.
        seconds_waiting: What of it the steps waited for data.

    Example:
        >>> stopwatch = Stopwatch()
        >>> stopwatch.begin(step=5)
        >>> steps, seconds = stopwatch.lap(step=15, waited=0.0)
        >>> steps, seconds == stopwatch.seconds, stopwatch.waiting
        (10, True, 0.0)
    """

    def __init__(self) -> None:
        self.seconds = self.seconds_in_steps = self.seconds_waiting = 0.0

    @property
    def waiting(self) -> float:
        """The share of the steps' time that was spent waiting for data."""
        return self.seconds_waiting / self.seconds_in_steps if self.seconds_in_steps else 0.0

    def begin(self, step: int) -> None:
        """Start to count, before a step."""
        self._since, self._step = time.monotonic(), step

    def lap(self, step: int, *, waited: float) -> tuple[int, float]:
        """Count the steps up to `step`, and return how many they are and the seconds they took."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        steps, self._step = step - self._step, step
        self.seconds += seconds
        self.seconds_in_steps += seconds
        self.seconds_waiting += waited
        return steps, seconds

    @contextmanager
    def beside_the_steps(self) -> Iterator[None]:
        """Keep the time of what is inside out of that of the steps."""
        begin = time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self.seconds += seconds
        self._since += seconds

    @property
    def state(self) -> dict[str, float]:
        """What a checkpoint holds of it."""
        return {name: getattr(self, name) for name in _KEPT}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from what a checkpoint holds; older ones know less, and the rest counts from 0."""
        for name in _KEPT:
            setattr(self, name, state.get(name, 0.0))
