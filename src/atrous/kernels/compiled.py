"""How kernels for the CPU are compiled by numba, and run in threads.

The threads are Python's own: the compiled code releases the interpreter's lock. Those of numba
end the process when two callers meet, or after a fork.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numba


def compiled(
    function: Callable[..., Any] | None = None, *, any_order: bool = False
) -> Callable[..., Any]:
    """Compile at the first call, for each layout of arrays; keep the code if there is a place.

    Args:
        function: What numba understands.
        any_order: Let sums be taken in another order, several terms at once.
    """
    if function is None:
        return partial(compiled, any_order=any_order)
    allowed = {"reassoc", "contract"} if any_order else False
    try:
        return numba.njit(function, nogil=True, cache=True, fastmath=allowed)
    except RuntimeError:  # neither the package nor the home directory can be written
        return numba.njit(function, nogil=True, fastmath=allowed)


def run_in_threads(job: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], threads: int) -> None:
    """Call a compiled function with each of some arguments, in several threads if that pays."""
    jobs = list(jobs)
    if threads == 1 or len(jobs) == 1:
        for words in jobs:
            job(*words)
        return
    for _ in _pool(threads).map(lambda words: job(*words), jobs):
        pass


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that wait for all callers: to start them takes a fifth of a label map."""
    return ThreadPoolExecutor(threads, thread_name_prefix="kernel")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
