"""How long a training waits for its data."""

import time
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Timed(Iterator[T], Generic[T]):
    """Hands on what an iterator gives, and adds up how long that takes.

    The first item is not counted: it starts the data workers.

    Args:
        items: The iterator.

    Example:
        >>> items = Timed(iter("ab"))
        >>> list(items), items.seconds() < 1, items.seconds()
        (['a', 'b'], True, 0.0)
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._is_first, self._seconds = True, 0.0

    def __next__(self) -> T:
        """Return the next item."""
        begin = time.monotonic()
        item = next(self._items)
        if not self._is_first:
            self._seconds += time.monotonic() - begin
        self._is_first = False
        return item

    def seconds(self) -> float:
        """Return how long was waited since this was last asked."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
