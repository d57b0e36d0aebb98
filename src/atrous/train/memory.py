"""Keeping the memory that one training step frees for the next one."""

import ctypes
import sys

_MOST_MAPS, _TRIM_ABOVE = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let this process keep freed memory, instead of asking the system for cleared pages anew.

    The large arrays of a step are freed when it ends, and needed again in the next one; to clear
    their pages each time takes up to a fifth of a step on a CPU. Where the C library is not glibc,
    nothing changes.

    Returns:
        Whether it does.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        allocator = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(allocator(_MOST_MAPS, 0)) and bool(allocator(_TRIM_ABOVE, -1))
