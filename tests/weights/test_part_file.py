import errno
import hashlib
import os
import threading

import pytest

from atrous.errors import DataError, ResourceError
from atrous.weights.part_file import has_sha256, open_part

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def nobody(line: str) -> None:
    raise AssertionError(line)


def test_a_part_becomes_the_file_and_is_gone(tmp_path):
    file = tmp_path / "new" / "weights.pth"
    with open_part(file, say=nobody) as part:
        assert part.path == file.with_name("weights.pth.part")
        part.append(CONTENT[:100])
        part.append(CONTENT[100:])
        assert part.size == len(CONTENT)
        part.finish(SHA256[:8])
    assert file.read_bytes() == CONTENT
    assert list(file.parent.iterdir()) == [file]


def test_what_came_is_there_for_the_next_process(tmp_path):
    file = tmp_path / "weights.pth"
    with open_part(file, say=nobody) as part:
        part.append(CONTENT[:100])
    with open_part(file, say=nobody) as part:
        assert part.size == 100
        part.append(CONTENT[100:])
        part.finish(SHA256)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", [SHA256[:7] + "x", "0" * 64])
def test_another_file_than_the_published_is_removed(tmp_path, sha256):
    file = tmp_path / "weights.pth"
    with open_part(file, say=nobody) as part:
        part.append(CONTENT)
        with pytest.raises(DataError) as caught:
            part.finish(sha256)
    assert str(caught.value) == (
        f"{file}: what came is not the published file: its SHA-256 begins with "
        f"{SHA256[: len(sha256)]}, not {sha256}; it was removed, run this again"
    )
    assert not list(tmp_path.iterdir())


def test_an_empty_part_is_removed(tmp_path):
    with open_part(tmp_path / "weights.pth", say=nobody):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_what_fitted(tmp_path, monkeypatch):
    room = 150

    def write(descriptor: int, chunk: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        fits = chunk[: min(room, 60)]
        room -= len(fits)
        return real(descriptor, fits)

    real = os.write
    file = tmp_path / "weights.pth"
    with open_part(file, say=nobody) as part:
        with monkeypatch.context() as patched:
            patched.setattr("atrous.weights.part_file.os.write", write)
            with pytest.raises(
                ResourceError, match=r"No space left on device.* make room"
            ) as caught:
                part.append(CONTENT)
        assert caught.value.exit_code == 5
    assert (tmp_path / "weights.pth.part").read_bytes() == CONTENT[:150]


def test_a_full_disk_at_the_end_keeps_the_part(tmp_path, monkeypatch):
    def full(path, write):
        raise ResourceError(f"{path}: cannot be written")

    monkeypatch.setattr("atrous.weights.part_file.write_atomically", full)
    file = tmp_path / "weights.pth"
    with open_part(file, say=nobody) as part:
        part.append(CONTENT)
        with pytest.raises(ResourceError):
            part.finish(SHA256)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth.part"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "blocked").write_text("not a folder")
    file = tmp_path / "blocked" / "weights.pth"
    with (
        pytest.raises(ResourceError, match=r"blocked/weights\.pth\.part: cannot be written"),
        open_part(file, say=nobody),
    ):
        pass


def test_the_second_waits_for_the_first_and_is_told(tmp_path):
    file, said, found = tmp_path / "weights.pth", [], []
    waits = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    def second() -> None:
        with open_part(file, say=say) as part:
            found.append((part.size, part.path.exists()))

    with open_part(file, say=nobody) as part:
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        part.append(CONTENT)
        part.finish(SHA256)
    thread.join(10)
    # Not the removed part of the first, but one of its own, and that is removed as well.
    assert found == [(0, True)]
    assert said == [f"waiting for another process that writes {part.path}"]
    assert list(tmp_path.iterdir()) == [file]


def test_without_locks_it_goes_on(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("atrous.weights.part_file.fcntl.flock", no_locks)
    with open_part(tmp_path / "weights.pth", say=nobody) as part:
        part.append(CONTENT)
        part.finish(SHA256)
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT


def test_a_file_is_known_by_the_beginning_of_its_sha256(tmp_path):
    file = tmp_path / "weights.pth"
    assert not has_sha256(file, "")
    file.write_bytes(CONTENT)
    assert has_sha256(file, SHA256)
    assert has_sha256(file, SHA256[:8])
    assert not has_sha256(file, SHA256[1:9])
