"""What the doctor says: one finding for each thing that is wrong, with its cure."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

Severity = Literal["error", "warning", "note"]

MOST_FILES = 10  # that a finding names; it counts all


class Place(NamedTuple):
    """A file below the data set folder, and what is the matter with it."""

    file: str
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a data set, or worth knowing.

    Attributes:
        kind: A word for programs, such as "size-mismatch".
        severity: An "error" keeps a training from starting or makes its result worthless; a
            "warning" makes it worse; a "note" is for information.
        what: For people, in one line.
        cure: A command, a line for `dataset.yaml`, or what else to do.
        places: The first ten files; for values outside the classes those with the most of them.
        count: How many files there are in all; 0 where it is not about files.

    Example:
        >>> places = [Place("images/val/a.jpg", "is empty")]
        >>> Finding.at("image-unreadable", "error", places, what="1 image", cure="copy it").count
        1
    """

    kind: str
    severity: Severity
    what: str
    cure: str
    places: tuple[Place, ...] = ()
    count: int = 0

    @classmethod
    def at(
        cls, kind: str, severity: Severity, places: Sequence[Place], *, what: str, cure: str
    ) -> Self:
        """Return a finding about files: the first are kept, all are counted."""
        return cls(kind, severity, what, cure, tuple(places[:MOST_FILES]), len(places))

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        places = [place._asdict() for place in self.places]
        return asdict(self) | {"places": places}


def below(root: Path, path: Path) -> str:
    """Return the path of a file below the data set folder, with slashes."""
    return path.relative_to(root).as_posix()


def set_aside(root: Path, places: Iterable[Place]) -> str:
    """Return the command that moves files to `aside/` in the data set, where nothing reads them.

    Example:
        >>> set_aside(Path("set"), [Place("images/val/a b.jpg")])
        "mkdir -p set/aside/images && mv -n 'set/images/val/a b.jpg' set/aside/images/"
    """
    files = sorted({place.file for place in list(places)[:MOST_FILES]})
    commands = []
    for top in sorted({file.partition("/")[0] for file in files}):
        folder = shlex.quote(str(root / "aside" / top))
        moved = [str(root / file) for file in files if file.startswith(f"{top}/")]
        commands.append(f"mkdir -p {folder} && mv -n {shlex.join(moved)} {folder}/")
    return " && ".join(commands)


def number_of(count: int, noun: str) -> str:
    """Return a number with its noun, as in "1 image" and "1,204 images"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
