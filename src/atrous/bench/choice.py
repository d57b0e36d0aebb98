"""What shall be measured, in the user's words: checked before anything is loaded."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atrous.bench.peers import peer_ways
from atrous.bench.ways import Way, own_ways, precisions_of
from atrous.errors import UsageError
from atrous.fast.engines import ENGINES
from atrous.predict.engine import PRECISIONS
from atrous.weights.to_peer import LIBRARIES

_ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What shall be measured.

    Attributes:
        model: What `load_network` takes.
        size: Rows and columns of the pictures.
        batch: How many pictures at once.
        engines: Keys of `ENGINES`, or `all`. They are named for the peers too.
        precisions: Of `fp32`, `bf16` and `int8`. In `int8` computes OpenVINO alone, calibrated on
            the pictures that are timed.
        against: Libraries to compare with: `torchvision`, `smp`.
        photos: Photographs to compare labels on; the examples of the project, if none.
        rounds: How often each way is timed.
        threads: Of the processor; None leaves torch's own number.

    Raises:
        UsageError: A word is unknown, or a number is less than 1.

    Example:
        >>> Choice(engines=("all",)).engines
        ('torch', 'optimized', 'compiled', 'onnxruntime', 'openvino')
    """

    model: str = "camvid-lite0"
    size: tuple[int, int] = (513, 513)
    batch: int = 1
    engines: tuple[str, ...] = ("torch", "optimized", "openvino")
    precisions: tuple[str, ...] = PRECISIONS
    against: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    rounds: int = 9
    threads: int | None = None

    def __post_init__(self) -> None:
        engines = tuple(ENGINES) if self.engines == (_ALL,) else self.engines
        object.__setattr__(self, "engines", _known("engine", engines, (*ENGINES, _ALL)))
        _known("precision", self.precisions, (*PRECISIONS, "int8"))
        _known("library", self.against, LIBRARIES)
        for name in ("batch", "rounds", "threads"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"--{name} must be 1 or more, got {number}")
        for engine in self.engines:
            able = precisions_of(engine)
            if not set(able) & set(self.precisions):
                wanted = ", ".join(self.precisions)
                raise UsageError(f"engine {engine!r} computes in {', '.join(able)}, not {wanted}")

    def ways(self) -> list[Way]:
        """Return what shall be measured, the peers first.

        Example:
            >>> [way.name for way in Choice(engines=("torch",), against=("smp",)).ways()]
            ['smp eager fp32', 'atrous torch fp32']
        """
        words = self.engines, self.precisions
        theirs = [way for library in self.against for way in peer_ways(library, *words)]
        return theirs + own_ways(*words)

    def to_json(self) -> dict[str, Any]:
        """Return the choice as what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Choice":
        """Return the choice that `to_json` gave the content of."""
        words: dict[str, Any] = {
            key: tuple(one) if isinstance(one, list) else one for key, one in content.items()
        }
        return cls(**words)


def _known(kind: str, words: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the words without repetitions."""
    known = tuple(word for word in known if word != _ALL or len(words) == 1)
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            raise UsageError(f"{kind} {word!r} is unknown here; {hint}")
    if not words and kind != "library":
        raise UsageError(f"name at least one {kind}: {', '.join(known)}")
    return tuple(dict.fromkeys(words))
