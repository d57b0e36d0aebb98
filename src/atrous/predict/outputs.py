"""Which files a prediction writes, and where: settled, and found safe, before anything is run."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from atrous.data.images import FoundImage
from atrous.errors import DataError, UsageError
from atrous.predict.segmentation import Segmentation, write_png

# What `--format` knows: the word, which is also the suffix, and what it draws.
FORMATS: dict[str, Callable[[Segmentation], Image.Image]] = {
    "mask": Segmentation.mask,
    "overlay": Segmentation.overlay,
}


@dataclass(frozen=True)
class Job:
    """One photograph, and the file to write for each format."""

    photo: FoundImage
    outputs: dict[str, Path]

    def write(self, result: Segmentation) -> None:
        """Write all outputs, each complete or not at all.

        Raises:
            ResourceError: The disk is full or cannot be written.
        """
        for name, path in self.outputs.items():
            write_png(FORMATS[name](result), path)


def parse_formats(words: str) -> tuple[str, ...]:
    """Return the formats of a list such as "mask,overlay".

    Raises:
        UsageError: A word is no format; the message names the nearest one.

    Example:
        >>> parse_formats("overlay, mask")
        ('overlay', 'mask')
    """
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in names:
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, n=1) or FORMATS
            raise UsageError(
                f"format {name!r} is unknown; use {' or '.join(near)} (known: {', '.join(FORMATS)})"
            )
    return names


def plan_jobs(photos: Sequence[FoundImage], out: Path, formats: Sequence[str]) -> list[Job]:
    """Give each photograph its outputs: `a/b.jpg` becomes `OUT/a/b.mask.png` and so on.

    Raises:
        DataError: Two photographs would share an output, an output would replace a photograph, or
            a photograph is itself a result that an earlier run left in `out`.

    Example:
        >>> photo = FoundImage(Path("trip/a/b.jpg"), Path("a/b.jpg"))
        >>> plan_jobs([photo], Path("out"), ["mask"])[0].outputs["mask"].as_posix()
        'out/a/b.mask.png'
    """
    jobs = [Job(photo, _outputs(photo, out, formats)) for photo in photos]
    _refuse_results(photos, out)
    _refuse_shared_outputs(jobs)
    _refuse_overwriting(jobs)
    return jobs


def _outputs(photo: FoundImage, out: Path, formats: Sequence[str]) -> dict[str, Path]:
    return {name: (out / photo.name).with_suffix(f".{name}.png") for name in formats}


def _refuse_results(photos: Sequence[FoundImage], out: Path) -> None:
    endings = tuple(f".{name}.png" for name in FORMATS)
    folder = out.resolve()
    for photo in photos:
        if photo.path.name.endswith(endings) and photo.path.resolve().is_relative_to(folder):
            raise DataError(
                f"{photo.path}: is a result of an earlier run, among the photographs; "
                f"remove {out} or choose an --out outside the folder of the photographs"
            )


def _refuse_shared_outputs(jobs: Sequence[Job]) -> None:
    # Compared without case: some file systems would take A.mask.png for a.mask.png.
    owners: dict[str, FoundImage] = {}
    for job in jobs:
        for path in job.outputs.values():
            owner = owners.setdefault(str(path).casefold(), job.photo)
            if owner is not job.photo:
                raise DataError(
                    f"{owner.path} and {job.photo.path}: both would be written to {path}; "
                    "rename one, or predict them into different folders"
                )


def _refuse_overwriting(jobs: Sequence[Job]) -> None:
    photos = {job.photo.path.resolve() for job in jobs}
    for job in jobs:
        for path in job.outputs.values():
            if path.resolve() in photos:
                raise DataError(
                    f"{path}: is a photograph that the result of {job.photo.path} would replace; "
                    "choose another --out"
                )
