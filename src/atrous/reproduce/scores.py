"""The lines of a table: what each variant scored with each seed, beside what was published."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrous.errors import DataError
from atrous.reproduce.study import Study, Variant


@dataclass(frozen=True)
class Line:
    """A variant, and its scores.

    Attributes:
        variant: With its published score.
        scores: mIoU in percent by seed; NaN where no pixel was to be scored.
        minutes: What the training of each seed took.
    """

    variant: Variant
    scores: Mapping[int, float]
    minutes: Mapping[int, float]

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN without any."""
        return statistics.fmean(self.scores.values()) if self.scores else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of one training; NaN with fewer than two."""
        known = len(self.scores) > 1 and not math.isnan(self.mean)
        return statistics.stdev(self.scores.values()) if known else math.nan

    def gain_over(self, other: "Line") -> tuple[float, float]:
        """Return how much more it scored than another line, in points.

        Returns:
            The mean and the standard deviation of the differences between trainings with the same
            seed, which saw the same images in the same order; NaN as for `mean` and `deviation`.

        Example:
            >>> a = Line(Variant(name="a", published=60.0), {0: 50.0, 1: 54.0}, {})
            >>> b = Line(Variant(name="b", published=62.0), {0: 51.0, 1: 55.0}, {})
            >>> b.gain_over(a)
            (1.0, 0.0)
        """
        both = self.scores.keys() & other.scores.keys()
        gains = Line(
            self.variant, {seed: self.scores[seed] - other.scores[seed] for seed in both}, {}
        )
        return gains.mean, gains.deviation


def score_file(out: Path, variant: Variant, seed: int) -> Path:
    """Return where the score of a variant is kept."""
    return out / variant.name / f"seed-{seed}.json"


def read_score(path: Path) -> dict[str, Any]:
    """Return a score that was kept.

    Raises:
        DataError: It cannot be read.
    """
    try:
        score = json.loads(path.read_text(encoding="utf-8"))
        _ = score["recipe"], score["mean_iou"], score["minutes"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: is damaged ({error}); delete it to score anew") from error
    return score


def read_scores(study: Study, out: str | Path, *, seeds: int) -> list[dict[str, Any]]:
    """Return the scores that are there, of all variants and the first `seeds` seeds.

    Raises:
        DataError: One cannot be read.
    """
    paths = [score_file(Path(out), v, seed) for v in study.variants for seed in range(seeds)]
    return [read_score(path) for path in paths if path.is_file()]


def lines(study: Study, scores: list[dict[str, Any]]) -> list[Line]:
    """Return one line for each variant of a study, those without a score too."""
    return [_line(v, [s for s in scores if s["variant"] == v.name]) for v in study.variants]


def _line(variant: Variant, scores: list[dict[str, Any]]) -> Line:
    return Line(
        variant,
        {s["seed"]: math.nan if s["mean_iou"] is None else 100 * s["mean_iou"] for s in scores},
        {s["seed"]: s["minutes"] for s in scores},
    )
