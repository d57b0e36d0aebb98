"""An evaluation on the screen."""

import math

from rich.console import Group
from rich.table import Table
from rich.text import Text

from atrous.evaluate.evaluation import Evaluation


def score_table(evaluation: Evaluation) -> Group:
    """Return what `rich` can print: one line per class, then the scores over all, in percent.

    A class that is absent, so that a score of it does not exist, shows as `n/a`.

    Args:
        evaluation: What to show.
    """
    return Group(_class_table(evaluation), Text(), _totals(evaluation))


def _class_table(evaluation: Evaluation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    for title in ("IoU %", "accuracy %", "pixels %"):
        table.add_column(title, justify="right")
    rows = zip(
        evaluation.classes,
        evaluation.scores.class_iou,
        evaluation.class_accuracy,
        evaluation.class_shares,
        strict=True,
    )
    for name, *fractions in rows:
        table.add_row(Text(name), *map(_percent, fractions))
    return table


def _totals(evaluation: Evaluation) -> Table:
    scores = evaluation.scores
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(Text("mIoU", "bold"), Text(f"{_percent(scores.mean_iou)} %", "bold"))
    grid.add_row("pixel accuracy", f"{_percent(scores.pixel_accuracy)} %")
    grid.add_row("mean class accuracy", f"{_percent(scores.mean_class_accuracy)} %")
    grid.add_row("frequency-weighted IoU", f"{_percent(scores.frequency_weighted_iou)} %")
    return grid


def _percent(fraction: float) -> str:
    return "n/a" if math.isnan(fraction) else f"{100 * fraction:.2f}"
