"""A save that ends anywhere leaves a good checkpoint, and the next one clears up after it.

Ended by SIGKILL, a process does nothing more, not even what `finally` would do. Here that is a call
of the system which raises, as all calls after it do: the folder is as the last one left it.
"""

import errno
import io
import os
import shutil

import pytest
import torch
from torch import nn

from atrous.errors import ResourceError
from atrous.train.checkpoint import load_latest, save_checkpoint
from atrous.train.run_directory import remove_leftovers

CALLS = ("mkdir", "open", "fsync", "chmod", "replace", "rename", "unlink", "rmdir")
MOST_CALLS = 100


class Killed(BaseException):
    """The process has ended."""


class Disk:
    """Counts what is done to the disk, and ends it at the call of a number.

    Args:
        patch: Puts the calls back.
        last: The number of the call that fails.
        error: What it raises.
        once: Whether the calls after it work again.
    """

    def __init__(self, patch, last, error, *, once=False):
        self.done, self._last, self._error, self._once = [], last, error, once
        for name in CALLS:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))
        patch.setattr(os, "fdopen", lambda descriptor, mode: Torn(descriptor, self))

    def call(self, name):
        """Fail if it is time to."""
        self.done.append(name)
        number = len(self.done) - 1
        if number == self._last or (number > self._last and not self._once):
            raise self._error

    def _watched(self, name, real):
        def call(path, *words, **options):
            if name != "open" or (words and words[0] & os.O_CREAT):
                self.call(name)
            return real(path, *words, **options)

        return call


class Torn(io.BufferedWriter):
    """A file of which half is written when the disk fails."""

    def __init__(self, descriptor, disk):
        super().__init__(io.FileIO(descriptor, "w"))
        self._disk = disk

    def write(self, content):
        try:
            self._disk.call("write")
        except BaseException:
            super().write(content[: len(content) // 2])
            self.flush()
            raise
        return super().write(content)


def _save(folder, step):
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, step)
    optimizer = torch.optim.AdamW(model.parameters())
    save_checkpoint(folder, step=step, model=model, optimizer=optimizer, state={}, keep=2)


@pytest.fixture
def saved(tmp_path):
    """Return a folder with two checkpoints, of which the next save deletes one."""
    for step in (1, 2):
        _save(tmp_path / "saved", step)
    return tmp_path / "saved"


def _is_good(folder, steps):
    said = []
    checkpoint = load_latest(folder, say=said.append)
    assert checkpoint.step in steps
    assert checkpoint.model["weight"].eq(checkpoint.step).all()
    assert not said
    return checkpoint.step


def test_a_save_that_is_killed_at_any_call_leaves_a_good_checkpoint(saved, tmp_path):
    found, names = [], set()
    for last in range(MOST_CALLS):
        folder = shutil.copytree(saved, tmp_path / str(last))
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, last, Killed())
            try:
                _save(folder, 3)
            except Killed:
                names.add(disk.done[last])
            else:
                break
        found.append(_is_good(folder, {2, 3}))
        remove_leftovers(folder)
        _save(folder, 3)
        kept = sorted(path.name for path in folder.iterdir())
        assert kept == ["latest", "step-00000002", "step-00000003"]
        assert _is_good(folder, {3})
    assert found == sorted(found)  # the old one up to a call, and the new one from then on
    assert set(found) == {2, 3}
    assert names == {*CALLS, "write"}


def test_a_disk_that_is_full_at_any_call_is_named_and_nothing_is_left(saved, tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = []
    for last in range(MOST_CALLS):
        folder = shutil.copytree(saved, tmp_path / str(last))
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, last, full, once=True)
            try:
                _save(folder, 3)
            except ResourceError as error:
                said.append((folder, str(error)))
        if last >= len(disk.done):
            break
        assert _is_good(folder, {2, 3})
        assert not list(folder.glob(".tmp-*"))
    assert len(said) > 20
    for folder, text in said:
        assert text.startswith(f"{folder}/")
        assert "No space left on device" in text
