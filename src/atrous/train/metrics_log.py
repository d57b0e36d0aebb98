"""The numbers of a run, step by step: `metrics.csv`, `speed.csv` and TensorBoard's log."""

import csv
import io
from pathlib import Path
from typing import Any

from atrous.errors import DataError, MissingExtraError, ResourceError
from atrous.files import write_text


class MetricsLog:
    """Rows by step; a row may be filled in several times, and written as often as one likes.

    `metrics.csv` is a function of the recipe, and ends the same however often the run was stopped;
    what depends on the hour goes to `speed.csv`.

    Args:
        folder: The run directory.
        last_step: Where this process goes on; later steps of a killed one are forgotten.

    Raises:
        DataError: A table that is there cannot be read.
        ResourceError: From any method, when the disk is full or cannot be written.
    """

    def __init__(self, folder: Path, *, last_step: int) -> None:
        self._metrics = _Table(folder / "metrics.csv", last_step)
        self._speed = _Table(folder / "speed.csv", last_step)
        self._board = _Board(folder / "tensorboard", last_step)

    def add(self, step: int, values: dict[str, Any]) -> None:
        """Keep `values`, by column, for a step."""
        self._metrics.add(step, values)
        self._board.add(step, values)

    def add_speed(self, step: int, values: dict[str, Any]) -> None:
        """Keep how fast the steps before `step` were, by column."""
        self._speed.add(step, values)
        self._board.add(step, values)

    def add_picture(self, step: int, name: str, picture: Any) -> None:
        """Show a picture, (H, W, 3) uint8, in TensorBoard."""
        self._board.write("add_image", name, picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Write everything to disk."""
        self._metrics.write()
        self._speed.write()
        self._board.write("flush")

    def close(self) -> None:
        """Write everything to disk, and end TensorBoard's log."""
        self.flush()
        self._board.write("close")


class SilentLog:
    """Keeps nothing: the log of all processes but the first."""

    def add(self, step: int, values: dict[str, Any]) -> None:
        """Do nothing."""

    add_speed = add

    def add_picture(self, step: int, name: str, picture: Any) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    close = flush


class _Table:
    """Rows by step, as they stand in a CSV file."""

    def __init__(self, file: Path, last_step: int) -> None:
        self._file = file
        self._rows = {row["step"]: row for row in _read(file) if row["step"] <= last_step}

    def add(self, step: int, values: dict[str, Any]) -> None:
        self._rows.setdefault(step, {"step": step}).update(values)

    def write(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[step] for step in sorted(self._rows))
        write_text(self._file, text.getvalue())


class _Board:
    """TensorBoard's log, which a thread of its own writes."""

    def __init__(self, folder: Path, last_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "train") from error
        self._folder = folder
        try:
            self._writer = SummaryWriter(str(folder), purge_step=last_step + 1)
        except OSError as error:
            raise self._cannot_be_written(error) from error

    def add(self, step: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.write("add_scalar", name, value, step)

    def write(self, method: str, *words: Any, **options: Any) -> None:
        """Call a method of TensorBoard's writer; it may raise what its thread met before."""
        try:
            getattr(self._writer, method)(*words, **options)
        except OSError as error:
            raise self._cannot_be_written(error) from error

    def _cannot_be_written(self, error: OSError) -> ResourceError:
        return ResourceError(f"{self._folder}: cannot be written ({error.strerror or error})")


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(lines)]
        return [{**row, "step": int(row["step"])} for row in rows]
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        raise DataError(
            f"{file}: is damaged ({type(error).__name__}: {error}); move it away, and --resume "
            "goes on without its rows"
        ) from error
