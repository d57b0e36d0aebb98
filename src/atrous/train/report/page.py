"""One HTML file about a run: complete in itself, without a script, readable in light and dark."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atrous.evaluate import Evaluation
from atrous.files import write_text
from atrous.page.document import document
from atrous.train.report import confusion, details, gallery, scores
from atrous.train.report.ranking import ImageRanking
from atrous.train.report.run_record import read_run

REPORT = "report.html"
_STEP = re.compile(r'<header data-step="(\d+)">')


def write_report(
    folder: str | Path,
    *,
    evaluation: Evaluation | None = None,
    ranking: ImageRanking | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write `report.html` into a run directory, about what there is: a run may have been stopped.

    The same run gives the same bytes.

    Args:
        folder: The run directory; it has a recipe at least.
        evaluation: Of the best weights on the validation split.
        ranking: The images of that evaluation.
        facts: How the training went, beside what the model file says of it: `steps`,
            `total_steps`, `minutes`, `processor` and the like.

    Returns:
        The path of the page.

    Raises:
        DataError: A file of the run is damaged.
        RecipeError: There is no recipe, or it cannot be read.
        ResourceError: The page cannot be written.
    """
    run = read_run(Path(folder), facts)
    sections = [
        scores.result(run, evaluation),
        scores.curves(run),
        scores.classes(run, evaluation),
        scores.classes_over_time(run),
        confusion.confusion(evaluation),
        gallery.images(ranking, run.palette) or gallery.previews(run.folder),
        details.commands(run),
        details.environment(run),
        details.recipe(run),
        details.files(run.folder),
    ]
    page = document(f"{run.recipe.name}: {run.folder.name}", sections)
    return write_text(run.folder / REPORT, page)


def is_current(folder: str | Path) -> bool:
    """Return whether a run has a report, and has taken no step since that was written.

    A run that was killed has the report of the stop before, if any.

    Raises:
        DataError: A file of the run is damaged.
        RecipeError: There is no recipe, or it cannot be read.
    """
    path = Path(folder) / REPORT
    if not path.is_file():
        return False
    told = _STEP.search(path.read_text(encoding="utf-8"))
    return told is None or int(told[1]) >= read_run(Path(folder)).steps
