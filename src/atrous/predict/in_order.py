"""Several things at once, their results in order: the next are read while some are computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Source = TypeVar("Source")
Value = TypeVar("Value")
Result = TypeVar("Result")


def in_order(
    sources: Iterable[Source],
    *,
    read: Callable[[Source], Value],
    compute: Callable[[Value], Result],
    at_once: int = 1,
) -> Iterator[Result]:
    """Yield what is computed from what is read from each source, in their order.

    Few are held at a time, however many there are. All are computed by the same threads. An error
    comes when its turn does, and ends the run.

    Args:
        sources: What to read.
        read: Called beside what is computed.
        compute: Called with what was read.
        at_once: How many are computed at the same time.

    Example:
        >>> list(in_order(["1", "2"], read=int, compute=lambda number: number * number))
        [1, 4]
    """
    readers, computers = ThreadPoolExecutor(at_once), ThreadPoolExecutor(at_once)
    try:
        values = _ahead((readers.submit(read, source) for source in sources), at_once)
        results = (computers.submit(_computed, compute, value) for value in values)
        for result in _ahead(results, at_once):
            yield result.result()
    finally:
        for pool in (computers, readers):
            pool.shutdown(cancel_futures=True)


def _computed(compute: Callable[[Value], Result], value: "Future[Value]") -> Result:
    return compute(value.result())


def _ahead(futures: "Iterable[Future[Value]]", count: int) -> "Iterator[Future[Value]]":
    """Yield futures in order, each when so many after it have been started."""
    waiting: deque[Future[Value]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting
