"""What an evaluation found out."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from atrous.data.palettes import Color
from atrous.metrics import Scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model on a data set, all from one confusion matrix over all its pixels.

    Attributes:
        scores: Mean IoU and the other scores, as fractions; NaN where nothing was to be scored.
        matrix: (K, K) int64 pixel counts, rows the true class, columns the predicted one.
        classes: Names of the K classes.
        palette: One RGB colour for each class.
        images: How many images were scored.
        dataset: Name of the data set.
    """

    scores: Scores
    matrix: np.ndarray
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    images: int
    dataset: str

    @property
    def class_accuracy(self) -> tuple[float, ...]:
        """Fraction of each class's pixels that were found; NaN for a class without pixels."""
        return tuple(_ratios(np.diag(self.matrix), self.matrix.sum(axis=1)))

    @property
    def class_shares(self) -> tuple[float, ...]:
        """Fraction of all scored pixels that truly belong to each class."""
        return tuple(_ratios(self.matrix.sum(axis=1), self.matrix.sum()))

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values; scores that do not exist are null."""
        per_class = zip(
            self.classes,
            self.scores.class_iou,
            self.class_accuracy,
            self.class_shares,
            strict=True,
        )
        return {
            "dataset": self.dataset,
            "images": self.images,
            "pixels": int(self.matrix.sum()),
            "mean_iou": _json(self.scores.mean_iou),
            "pixel_accuracy": _json(self.scores.pixel_accuracy),
            "mean_class_accuracy": _json(self.scores.mean_class_accuracy),
            "frequency_weighted_iou": _json(self.scores.frequency_weighted_iou),
            "classes": [
                {
                    "name": name,
                    "iou": _json(iou),
                    "accuracy": _json(accuracy),
                    "share": _json(share),
                }
                for name, iou, accuracy, share in per_class
            ],
            "confusion_matrix": self.matrix.tolist(),
        }


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float]:
    """Divide, with NaN where there is nothing to divide by."""
    wholes = np.broadcast_to(wholes, parts.shape)
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0).tolist()


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
