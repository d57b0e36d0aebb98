import os
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.signal is None
        os.kill(os.getpid(), number)
        assert interruption.signal == number
    assert signal.getsignal(number) is before


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
