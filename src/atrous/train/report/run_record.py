"""What a run directory says about its training, finished or not."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from atrous.data.palettes import Color
from atrous.errors import DataError
from atrous.recipe import Recipe, load_recipe
from atrous.train.run_directory import BEST, RECIPE
from atrous.weights.model_file import read_facts

Row = Mapping[str, float]


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        folder: The run directory, as it was named.
        recipe: What was trained on what.
        recipe_text: `recipe.yaml` as it stands there.
        rows: The rows of `metrics.csv` and `speed.csv` as one, by step, each with what it fills.
        facts: How the training went: `steps`, `minutes`, `processor`, versions and the like.
        palette: The colour of each class of the best weights; empty when there are none yet.
    """

    folder: Path
    recipe: Recipe
    recipe_text: str
    rows: tuple[Row, ...]
    facts: Mapping[str, Any]
    palette: Mapping[str, Color]

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return int(self.facts.get("steps", self.rows[-1]["step"] if self.rows else 0))

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole training, where it is known."""
        return self.facts.get("total_steps", self.recipe.train.max_steps)

    @property
    def validations(self) -> tuple[Row, ...]:
        """The rows with a validation that had pixels to judge by."""
        return tuple(row for row in self.rows if math.isfinite(row.get("val_mean_iou", math.nan)))

    @property
    def best(self) -> Row | None:
        """The row of the validation whose weights were kept."""
        return max(self.validations, key=lambda row: row["val_mean_iou"], default=None)


def read_run(folder: Path, facts: Mapping[str, Any] | None = None) -> RunRecord:
    """Read the run in `folder`.

    Args:
        folder: The run directory.
        facts: More of them than the model file has; a run that was stopped has none there.

    Raises:
        DataError: A log holds what is no number, or `best.safetensors` is damaged.
        RecipeError: There is no recipe, or it cannot be read.
    """
    best = read_facts(folder / BEST) if (folder / BEST).is_file() else None
    return RunRecord(
        folder=folder,
        recipe=load_recipe(folder / RECIPE),
        recipe_text=(folder / RECIPE).read_text(encoding="utf-8"),
        rows=_by_step(_read_rows(folder / "metrics.csv"), _read_rows(folder / "speed.csv")),
        facts={**(best.training if best else {}), **(facts or {})},
        palette=dict(zip(best.classes, best.palette, strict=True)) if best else {},
    )


def _by_step(*tables: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return one row for each step, with the columns of all tables."""
    rows: dict[float, dict[str, float]] = {}
    for row in chain.from_iterable(tables):
        rows.setdefault(row["step"], {}).update(row)
    return tuple(rows[step] for step in sorted(rows))


def _read_rows(file: Path) -> tuple[Row, ...]:
    if not file.is_file():
        return ()
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return tuple(
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(lines)
            )
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: not the numbers of a training ({error})") from error
