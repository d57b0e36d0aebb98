import signal
import subprocess
import sys

import pytest

pytest.importorskip("openvino")

_SCRIPT = """
import gc, os, signal, torch
from atrous.fast.engines import open_engine
from atrous.models import create_model

model = create_model("lraspp", backbone="test_efficientnet", num_classes=2)
engines = [open_engine("openvino", model, device=torch.device("cpu")) for _ in range(2)]
for number in range(2):
    engines[number](torch.zeros(1, 32, 32, 3, dtype=torch.uint8))
while engines:
    del engines[0]  # the first that came
    gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("survived"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a signal of POSIX")
def test_signals_are_survived_when_engines_have_gone():
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr
