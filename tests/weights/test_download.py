import errno
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from atrous.errors import DataError, ResourceError
from atrous.weights.download import cache_folder, download
from atrous.weights.part_file import open_part

CONTENT = random.Random(0).randbytes(700_000)  # noqa: S311, more than two chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights.pth"


@pytest.fixture
def fetch(site, tmp_path):
    """Download `weights.pth` from the site, quietly; the keywords are those of `download`."""
    site.content = CONTENT

    def call(**keywords):
        options = {"sha256": SHA256[:8], "size": len(CONTENT), "say": lambda _: None, **keywords}
        return download(site.url(NAME), tmp_path / NAME, **options)

    return call


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_comes_whole_once_and_says_so(site, tmp_path, fetch):
    said = []
    assert fetch(say=said.append) == tmp_path / NAME
    assert fetch(say=said.append) == tmp_path / NAME
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == [None]
    assert said == [f"downloading {site.url(NAME)} (0.7 MB) to {tmp_path / NAME}"]


def test_it_is_said_on_stderr(fetch, tmp_path, site, capsys):
    site.content = CONTENT
    download(site.url(NAME), tmp_path / "another", sha256="", size=700_000)
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("downloading http://")


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_connection_is_taken_up_where_it_was_cut(site, tmp_path, fetch, seed):
    drawn = random.Random(seed)  # noqa: S311
    first = drawn.randrange(1, len(CONTENT) - 1)
    second = drawn.randrange(len(CONTENT) - first)
    site.cuts = [first, second]
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == [None, f"bytes={first}-", f"bytes={first + second}-"]


def test_a_connection_that_brings_nothing_is_tried_again(site, tmp_path, fetch):
    site.cuts = [0, 0]
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == [None, None, None]


def test_after_three_cuts_the_next_call_goes_on(site, tmp_path, fetch):
    site.cuts = [100_000, 100_000, 100_000]
    with pytest.raises(DataError) as caught:
        fetch()
    assert str(caught.value) == (
        f"{site.url(NAME)}: could not be fetched in 3 tries (the connection was cut); see that "
        "this machine is online and run this again, which goes on from 0.3 MB"
    )
    assert files(tmp_path) == {f"{NAME}.part": CONTENT[:300_000]}
    said = []
    fetch(say=said.append)
    assert "(0.7 MB, of which 0.3 MB are here already)" in said[0]
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked[-1] == "bytes=300000-"


def test_a_server_without_ranges_begins_anew(site, tmp_path, fetch):
    site.has_ranges = False
    site.cuts = [400_000, 500_000]
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == [None, "bytes=400000-", "bytes=500000-"]


def test_a_part_that_is_whole_needs_no_more(site, tmp_path, fetch):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == [f"bytes={len(CONTENT)}-"]


def test_a_file_of_unknown_length_is_judged_by_its_sha256(site, tmp_path, fetch):
    site.announces = False
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    (tmp_path / NAME).unlink()
    site.cuts = [5]
    with pytest.raises(DataError, match="not the published file"):
        fetch()
    assert not files(tmp_path)


def test_another_file_than_the_published_is_removed(site, tmp_path, fetch):
    site.content = CONTENT[:-1] + b"?"
    with pytest.raises(DataError, match=f"not {SHA256[:8]}; it was removed, run this again"):
        fetch()
    assert not files(tmp_path)
    assert site.asked == [None]


def test_the_part_of_another_file_is_removed_too(site, tmp_path, fetch):
    (tmp_path / f"{NAME}.part").write_bytes(b"something else")
    with pytest.raises(DataError, match="not the published file"):
        fetch()
    assert not files(tmp_path)
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}


def test_a_damaged_file_is_fetched_again(tmp_path, fetch):
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_asked_for_once(site, tmp_path, fetch, status):
    site.answers = [status]
    with pytest.raises(
        DataError, match=f"the server answers {status}: .*'atrous convert'"
    ) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert len(site.asked) == 1
    assert not files(tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(site, tmp_path, fetch, status):
    site.answers = [status, status]
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}
    site.answers = [status] * 3
    (tmp_path / NAME).unlink()
    with pytest.raises(DataError, match=rf"in 3 tries \(the server answers {status}"):
        fetch()
    assert not files(tmp_path)


def test_a_silent_server_counts_as_cut(site, tmp_path, fetch):
    site.silence = 0.5
    with pytest.raises(DataError, match=r"in 3 tries \(timed out\)"):
        fetch(silence=0.05)
    site.silence = 0.0
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}


def test_without_a_connection_one_line_says_so(site, tmp_path, fetch):
    port = site.server_port
    site.socket.close()
    with pytest.raises(
        DataError, match=r"in 3 tries \(.*refused.*\); see that this machine"
    ) as caught:
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a", sha256="0", size=1)
    assert "\n" not in str(caught.value)
    assert not files(tmp_path)


def test_a_full_disk_is_not_tried_again_and_keeps_the_part(site, tmp_path, fetch, monkeypatch):
    room = 300_000

    def write(descriptor: int, chunk: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, chunk[:room])
        room -= written
        return written

    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr("atrous.weights.part_file.os.write", write)
        with pytest.raises(ResourceError, match="No space left"):
            fetch()
    assert len(site.asked) == 1
    assert files(tmp_path) == {f"{NAME}.part": CONTENT[:300_000]}
    fetch()
    assert files(tmp_path) == {NAME: CONTENT}


def test_of_two_processes_one_fetches_and_the_other_waits(site, tmp_path):
    code = (
        "import sys; from pathlib import Path; from atrous.weights.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], size=700000)"
    )
    file = tmp_path / NAME
    words = [sys.executable, "-c", code, site.url(NAME), str(file), SHA256]
    with open_part(file, say=str) as part:
        other = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert other.stderr
        assert other.stderr.readline() == f"waiting for another process that writes {part.path}\n"
        part.append(CONTENT)
        part.finish(SHA256)
    assert other.communicate(timeout=100) == (None, "")
    assert other.returncode == 0
    assert files(tmp_path) == {NAME: CONTENT}
    assert site.asked == []


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/a", "http://weights.example/a", "file:///etc/hostname", "ftp://x/a"]
)
def test_nothing_comes_over_anything_but_https(site, tmp_path, fetch, url):
    with pytest.raises(DataError, match="over https only") as caught:
        download(url, tmp_path / "a", sha256="", size=1)
    assert str(caught.value).startswith(url)
    site.moved_to = url
    with pytest.raises(DataError, match=r"the server answers 302: .*(https|not allowed)"):
        fetch()
    assert not files(tmp_path)


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ATROUS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "atrous"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/atrous")
    monkeypatch.setenv("ATROUS_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
