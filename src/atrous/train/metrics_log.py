"""The numbers of a run, step by step: `metrics.csv` and TensorBoard's log."""

import csv
import io
from pathlib import Path
from typing import Any

from atrous.errors import MissingExtraError
from atrous.files import write_text


class MetricsLog:
    """Rows by step; a row may be filled in several times, and written as often as one likes.

    Args:
        folder: The run directory.
        last_step: Where this process goes on; later steps of a killed one are forgotten.
    """

    def __init__(self, folder: Path, *, last_step: int) -> None:
        self._file = folder / "metrics.csv"
        self._rows = {row["step"]: row for row in _read(self._file) if row["step"] <= last_step}
        self._board = _open_board(folder / "tensorboard", last_step)

    def add(self, step: int, values: dict[str, Any]) -> None:
        """Keep `values`, by column, for a step."""
        self._rows.setdefault(step, {"step": step}).update(values)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def add_picture(self, step: int, name: str, picture: Any) -> None:
        """Show a picture, (H, W, 3) uint8, in TensorBoard."""
        self._board.add_image(name, picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Write everything to disk."""
        columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[step] for step in sorted(self._rows))
        write_text(self._file, text.getvalue())
        self._board.flush()

    def close(self) -> None:
        """Write everything to disk, and end TensorBoard's log."""
        self.flush()
        self._board.close()


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(lines)]
    return [{**row, "step": int(row["step"])} for row in rows]


def _open_board(folder: Path, last_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "train") from error
    return SummaryWriter(str(folder), purge_step=last_step + 1)
