"""What is left of a training that an error ends: said in the same line as the error."""

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from atrous.errors import DivergedError, ResourceError
from atrous.train.run_directory import BEST, CHECKPOINTS


class Kept(AbstractContextManager["Kept"]):
    """Adds to an error of resources or numbers where the training can go on, if it can.

    Attributes:
        folder: The run directory, as soon as it is known.

    Example:
        >>> import tempfile
        >>> with Kept() as kept:
        ...     kept.folder = Path(tempfile.mkdtemp())
        ...     (kept.folder / "checkpoints/step-00000500").mkdir(parents=True)
        ...     raise ResourceError("memory ran out")
        Traceback (most recent call last):
        ...
        atrous.errors.ResourceError: memory ran out; step 500 is saved: --resume goes on from it
    """

    def __init__(self) -> None:
        self.folder: Path | None = None

    def __exit__(
        self, _: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the error anew, with a longer message."""
        if self.folder is None:
            return
        if isinstance(error, ResourceError) and (way := _checkpoint(self.folder)):
            raise ResourceError(f"{error}; {way}") from error
        if isinstance(error, DivergedError) and (way := _best_weights(self.folder)):
            raise DivergedError(f"{error}; {way}") from error


def _checkpoint(folder: Path) -> str:
    steps = [int(path.name[len("step-") :]) for path in (folder / CHECKPOINTS).glob("step-*")]
    return f"step {max(steps)} is saved: --resume goes on from it" if steps else ""


def _best_weights(folder: Path) -> str:
    """Return another beginning: the same recipe, resumed, would come to the same numbers."""
    file = folder / BEST
    return f"--set train.weights={file} starts from the best so far" if file.is_file() else ""
