import signal
import subprocess
import sys
import threading

import pytest

from atrous.train.interruption import Interruption

PROGRAM = """
import os, signal, time
from atrous.train import interruption
with interruption.Interruption() as noted:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    print("once", noted.signal, flush=True)
    noted._noted_at -= 2
    os.kill(os.getpid(), signal.SIGTERM)
    print("never reached")
"""


FIRST = """
import os, signal
from atrous.train.interruption import Interruption
before = signal.getsignal(NUMBER)
with Interruption() as interruption:
    assert interruption.signal is None
    os.kill(os.getpid(), NUMBER)
    assert interruption.signal == NUMBER
assert signal.getsignal(NUMBER) is before
print("noted, and as before")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted(number):
    # In a process of its own: one that tests share may have lost its handlers to a library.
    program = f"NUMBER = {int(number)}\n{FIRST}"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.stdout == "noted, and as before\n", ended.stderr


def test_a_signal_sent_twice_is_one_request_and_a_later_one_ends_the_process():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert ended.stdout.splitlines() == [f"once {int(signal.SIGTERM)}"]
    assert ended.returncode == -signal.SIGTERM


def test_another_thread_may_train_too():
    seen = []

    def enter():
        with Interruption() as interruption:
            seen.append(interruption.signal)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [None]
