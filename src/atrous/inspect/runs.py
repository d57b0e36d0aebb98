"""What came of trainings: one run in a few figures, and runs side by side."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrous.errors import DataError
from atrous.files import write_text
from atrous.inspect.figures import figures
from atrous.page.charts import line_chart
from atrous.page.document import document
from atrous.page.layout import grid, section
from atrous.page.markup import Markup, tag
from atrous.train.report import write_report
from atrous.train.report.page import REPORT, is_current
from atrous.train.report.run_record import Row, RunRecord, read_run
from atrous.train.run_directory import RECIPE

_NAN = math.nan
_IOU = "val_iou/"  # what the columns of single classes begin with


@dataclass(frozen=True)
class RunSummary:
    """A run in a few figures; scores are fractions, NaN where nothing was validated yet.

    Attributes:
        folder: The run directory.
        network: Architecture and backbone.
        steps: Steps taken.
        total_steps: Steps of the whole training, where it is known.
        best_step: Step of the weights that were kept.
        mean_iou: Of the best validation.
        pixel_accuracy: Of the same validation.
        minutes: Time that the training took; None while that is unknown.
        class_iou: IoU of each class at the best validation.
        record: All that the run directory says.
    """

    folder: Path
    network: str
    steps: int
    total_steps: int | None
    best_step: int | None
    mean_iou: float
    pixel_accuracy: float
    minutes: float | None
    class_iou: Mapping[str, float]
    record: RunRecord


def is_run(folder: str | Path) -> bool:
    """Return whether a folder holds a run, finished or not.

    Example:
        >>> is_run("/")
        False
    """
    return (Path(folder) / RECIPE).is_file()


def summarise(folder: str | Path) -> RunSummary:
    """Read a run directory.

    Raises:
        DataError: There is no run, or a file of it is damaged.
        RecipeError: Its recipe cannot be read.
    """
    folder = Path(folder)
    if not is_run(folder):
        raise DataError(f"{folder}: no run (no {RECIPE}); name a folder that `atrous train` wrote")
    record = read_run(folder)
    best: Row = record.best or {}
    model = record.recipe.model
    return RunSummary(
        folder,
        f"{model.architecture} on {model.backbone}",
        record.steps,
        record.total_steps,
        int(best["step"]) if best else None,
        best.get("val_mean_iou", _NAN),
        best.get("val_pixel_accuracy", _NAN),
        record.facts.get("minutes"),
        {key.removeprefix(_IOU): iou for key, iou in best.items() if key.startswith(_IOU)},
        record,
    )


def report_of(run: RunSummary) -> Path:
    """Return the path of a run's report, which is written where it is missing or out of date.

    Raises:
        ResourceError: It cannot be written.
    """
    return run.folder / REPORT if is_current(run.folder) else write_report(run.folder)


def to_json(run: RunSummary) -> dict[str, Any]:
    """Return the figures as what JSON can hold: scores as fractions, what is unknown as None."""
    return {
        "network": run.network,
        "data": run.record.recipe.data.source,
        "steps": run.steps,
        "total_steps": run.total_steps,
        "best_step": run.best_step,
        "minutes": run.minutes,
        "mean_iou": _known(run.mean_iou),
        "pixel_accuracy": _known(run.pixel_accuracy),
        "class_iou": {name: _known(iou) for name, iou in run.class_iou.items()},
    }


def lines(run: RunSummary) -> Iterator[tuple[str, str]]:
    """Yield what a run is told by: name and figure."""
    total = f" of {run.total_steps:,}" if (run.total_steps or 0) > run.steps else ""
    yield "network", run.network
    yield "data", run.record.recipe.data.source
    yield "steps", f"{run.steps:,}{total}"
    yield "minutes", "n/a" if run.minutes is None else f"{run.minutes:,.1f}"
    yield "best at step", "n/a" if run.best_step is None else f"{run.best_step:,}"
    yield "mIoU", _percent(run.mean_iou)
    yield "pixel accuracy", _percent(run.pixel_accuracy)
    for name, iou in run.class_iou.items():
        yield f"IoU {name}", _percent(iou)


def side_by_side(runs: Sequence[RunSummary]) -> list[tuple[str, ...]]:
    """Return a row for each figure that any run has: its name, and the figure of each run."""
    told = [dict(lines(run)) for run in runs]
    names = dict.fromkeys(name for figures_of in told for name in figures_of)
    return [(name, *(figures_of.get(name, "n/a") for figures_of in told)) for name in names]


def write_comparison(runs: Sequence[RunSummary], path: str | Path) -> Path:
    """Write a page with the figures and the curves of runs side by side; one run has its report.

    Returns:
        Its path.

    Raises:
        ResourceError: The page cannot be written.
    """
    if len(runs) == 1:
        return write_text(path, report_of(runs[0]).read_text(encoding="utf-8"))
    names = _names(runs)
    classes = dict.fromkeys(name for run in runs for name in run.class_iou)
    charts = [
        _chart("Loss", runs, column="loss", axis="loss"),
        _chart("mIoU", runs, column="val_mean_iou", axis="percent", factor=100),
        _chart("Pixel accuracy", runs, column="val_pixel_accuracy", axis="percent", factor=100),
        _chart("Learning rate", runs, column="lr", axis="of the backbone"),
    ]
    by_class = [
        _chart(name, runs, column=f"{_IOU}{name}", axis="IoU, percent", factor=100)
        for name in classes
    ]
    title = ", ".join(names)
    parts = [
        tag("header", tag("h1", title), tag("p", "Trainings side by side.")),
        section("Result", figures(("", *names), side_by_side(runs))),
        section("Curves", grid(*charts)),
        section("Classes", grid(*by_class)),
    ]
    return write_text(path, document(title, parts))


def _chart(
    title: str, runs: Sequence[RunSummary], *, column: str, axis: str, factor: float = 1
) -> Markup:
    """Draw one column of the logs of all runs over all their steps."""
    known = [
        {row["step"]: factor * row[column] for row in run.record.rows if column in row}
        for run in runs
    ]
    steps = sorted(set().union(*known))
    curves = {
        name: [values.get(step, _NAN) for step in steps]
        for name, values in zip(_names(runs), known, strict=True)
    }
    return line_chart(title, steps, curves, axis=axis)


def _names(runs: Sequence[RunSummary]) -> list[str]:
    """Return what each run is called: its folder, with its parents where that is not enough."""
    short = [run.folder.name for run in runs]
    return short if len(set(short)) == len(runs) else [str(run.folder) for run in runs]


def _known(fraction: float) -> float | None:
    return None if math.isnan(fraction) else fraction


def _percent(fraction: float) -> str:
    return "n/a" if math.isnan(fraction) else f"{100 * fraction:.2f} %"
