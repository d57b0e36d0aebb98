"""Many photographs: each is finished or named, and none stops the others."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from atrous.errors import DataError
from atrous.files import write_text
from atrous.predict.outputs import Job
from atrous.predict.segmentation import Segmentation
from atrous.predict.segmenter import Segmenter

FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class Done:
    """A photograph whose outputs are written.

    Attributes:
        job: Which photograph, which outputs.
        size: Its rows and columns.
        shares: Fraction of the picture that each class covers.
    """

    job: Job
    size: tuple[int, int]
    shares: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """A photograph that could not be read, and why."""

    job: Job
    error: DataError


def run_jobs(
    segmenter: Segmenter, jobs: Sequence[Job], out: Path, *, strict: bool = False
) -> Iterator[Done | Failed]:
    """Segment photographs in their order, and tell what became of each as soon as it is known.

    While the outputs of one are written, the next are read and computed. Those that failed are
    listed in `OUT/failures.jsonl`, also when the run is broken off; the file of an earlier run goes
    when none fails.

    Args:
        segmenter: The model to use.
        jobs: What to read and write.
        out: Folder of the list of failures.
        strict: Raise the first failure instead of going on.

    Raises:
        DataError: A photograph failed, and `strict` is set.
        ResourceError: The disk is full or cannot be written.
    """
    failures: list[Failed] = []
    written: Future[Done] | None = None
    try:
        with ThreadPoolExecutor(1) as writer:
            results = segmenter.each([job.photo.path for job in jobs])
            for job, found in zip(jobs, results, strict=True):
                if written is not None:
                    yield written.result()
                    written = None
                if isinstance(found, DataError):
                    failed = Failed(job, found)
                    failures.append(failed)
                    if strict:
                        raise found
                    yield failed
                else:
                    written = writer.submit(_write, job, found)
            if written is not None:
                yield written.result()
    finally:
        _record(failures, out / FAILURES)


def _write(job: Job, found: Segmentation) -> Done:
    job.write(found)
    height, width = found.labels.shape
    return Done(job, (height, width), found.shares())


def _record(failures: Sequence[Failed], file: Path) -> None:
    lines = [{"path": str(one.job.photo.path), "error": str(one.error)} for one in failures]
    if lines:
        write_text(file, "".join(json.dumps(line) + "\n" for line in lines))
    elif file.exists():
        file.unlink()
