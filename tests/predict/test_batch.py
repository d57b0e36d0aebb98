import json
import threading

import numpy as np
import pytest

from atrous.data.images import find_images, read_image, read_mask
from atrous.errors import DataError, ResourceError
from atrous.predict.batch import Done, Failed, run_jobs
from atrous.predict.outputs import Job, plan_jobs


@pytest.fixture
def jobs(folder, tmp_path):
    return plan_jobs(find_images([folder]), tmp_path / "out", ["mask", "overlay"])


def files_below(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_a_bad_file_is_recorded_and_stops_nothing(segmenter, jobs, folder, labels, tmp_path):
    first, second, third = run_jobs(segmenter, jobs, tmp_path / "out")
    assert isinstance(first, Done)
    assert first.size == (4, 6)
    assert sum(first.shares.values()) == pytest.approx(1)
    assert isinstance(second, Done)
    assert isinstance(third, Failed)
    assert files_below(tmp_path / "out") == [
        "a.mask.png",
        "a.overlay.png",
        "failures.jsonl",
        "trip/b.mask.png",
        "trip/b.overlay.png",
    ]
    assert np.array_equal(read_mask(tmp_path / "out/trip/b.mask.png"), labels)
    assert read_image(tmp_path / "out/a.overlay.png").shape == (4, 6, 3)
    (line,) = (tmp_path / "out/failures.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["path"] == str(folder / "trip/cut.png")
    assert "truncated" in record["error"]


def test_the_record_of_an_earlier_run_goes_when_nothing_fails(segmenter, jobs, tmp_path):
    out = tmp_path / "out"
    list(run_jobs(segmenter, jobs, out))
    list(run_jobs(segmenter, jobs[:2], out))
    assert not (out / "failures.jsonl").exists()


def test_strict_stops_at_the_first_failure_and_records_it(segmenter, jobs, tmp_path):
    bad_first = [jobs[2], jobs[0]]
    with pytest.raises(DataError, match=r"cut\.png"):
        list(run_jobs(segmenter, bad_first, tmp_path / "out", strict=True))
    assert files_below(tmp_path / "out") == ["failures.jsonl"]


def test_failures_are_recorded_also_when_the_run_is_broken_off(segmenter, jobs, tmp_path):
    outcomes = run_jobs(segmenter, [jobs[2], *jobs[:2]], tmp_path / "out")
    next(outcomes)
    outcomes.close()
    assert files_below(tmp_path / "out") == ["failures.jsonl"]


def test_a_place_that_cannot_be_written_stops_the_run(segmenter, folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    jobs = plan_jobs(find_images([folder / "a.png"]), tmp_path / "file", ["mask"])
    with pytest.raises(ResourceError, match=r"a\.mask\.png: cannot be written"):
        list(run_jobs(segmenter, jobs, tmp_path / "file"))


def test_one_is_written_while_the_next_is_computed(segmenter, jobs, tmp_path):
    computing, compute = threading.Semaphore(0), segmenter.engine

    def slow(images):
        computing.release()
        return compute(images)

    class Patient(Job):
        def write(self, result):
            assert computing.acquire(timeout=30)  # the first
            assert computing.acquire(timeout=30)  # the second
            super().write(result)

    segmenter.engine = slow
    first = Patient(jobs[0].photo, jobs[0].outputs)
    outcomes = list(run_jobs(segmenter, [first, jobs[1]], tmp_path / "out"))
    assert [outcome.job for outcome in outcomes] == [first, jobs[1]]
    assert (tmp_path / "out/a.mask.png").is_file()


def test_the_photographs_are_left_as_they_were(segmenter, jobs, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    list(run_jobs(segmenter, jobs, tmp_path / "out"))
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before
