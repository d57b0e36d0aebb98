import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from atrous.errors import ResourceError, UsageError
from atrous.train.lock import hold

HOLDER = """
import os, sys, time
from pathlib import Path
from atrous.train.lock import hold
with hold(Path(sys.argv[1])):
    if os.fork() == 0:  # a data worker, which outlives the trainer
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Yield a process that holds `tmp_path / "run"`, and its child's number."""
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        yield process, child
        os.kill(child, signal.SIGKILL)
        process.kill()


def test_the_second_trainer_is_refused_at_once_until_the_first_has_ended(tmp_path, holder):
    process, child = holder
    start = time.monotonic()
    with (
        pytest.raises(UsageError, match=f"process {process.pid} is training there"),
        hold(tmp_path / "run"),
    ):
        pytest.fail("held twice")
    assert time.monotonic() - start < 1
    process.kill()
    process.wait()
    os.kill(child, 0)  # is alive, and does not keep the lock
    with hold(tmp_path / "run"):
        assert (tmp_path / "run/.lock").read_text() == f"{os.getpid()}\n"


def test_nothing_is_left_behind(tmp_path):
    run = tmp_path / "runs/first"
    with hold(run):
        (run / "recipe.yaml").touch()
    assert [path.name for path in run.iterdir()] == ["recipe.yaml"]


def test_a_folder_that_stays_empty_is_taken_away_again(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / "run"):
        raise KeyError
    assert not (tmp_path / "run").exists()


def test_a_lock_that_was_taken_away_while_we_waited_is_no_lock(tmp_path, monkeypatch):
    flock, taken = fcntl.flock, []

    def takes_it_away(file, how):
        if not taken:
            taken.append((tmp_path / ".lock").unlink())
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", takes_it_away)
    with hold(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(("number", "runs"), [(errno.ENOSYS, True), (errno.EIO, False)])
def test_a_file_system_without_locks_is_trained_on_all_the_same(
    tmp_path, monkeypatch, number, runs
):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    said = []
    if runs:
        with hold(tmp_path, say=said.append):
            assert "no locks on this file system" in said[0]
    else:
        with pytest.raises(ResourceError, match="cannot be written"), hold(tmp_path):
            pass


def test_a_directory_that_is_read_only_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", fail)
    said = rf"^{tmp_path}: cannot be written \(Read-only file system\)"
    with pytest.raises(ResourceError, match=said), hold(tmp_path):
        pass
