import subprocess
import sys

import pytest

from atrous.train.memory import keep_freed_memory

CHILD = """
import ctypes, resource, sys
from atrous.train.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(8):
    memory = libc.malloc(64 << 20)
    ctypes.memset(memory, 1, 64 << 20)
    libc.free(memory)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is asked")
def test_freed_memory_is_used_again():
    faults = {
        way: int(
            subprocess.run(
                [sys.executable, "-c", CHILD, way], check=True, capture_output=True, text=True
            ).stdout
        )
        for way in ("usual", "kept")
    }
    # Eight times 64 MiB are 131,072 pages, or 16,384 if they are kept.
    assert faults["kept"] < faults["usual"] - 80_000


def test_nothing_happens_where_the_allocator_is_another(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
