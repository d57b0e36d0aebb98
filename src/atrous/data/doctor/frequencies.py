"""How often each class occurs, and what it should weigh in the loss."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from atrous.data.doctor.findings import Finding

Balance = Literal["log-frequency", "median-frequency"]

_RARE = 0.001  # share of the labelled pixels


class ClassShare(NamedTuple):
    """How much of the training pixels a class has, and its suggested weights in the loss."""

    name: str
    share: float
    log_frequency: float
    median_frequency: float


def balanced_weights(kind: Balance, counts: np.ndarray) -> np.ndarray:
    """Return (K,) float64 weights of mean 1.

    With f the share of a class among the labelled pixels, `log-frequency` is 1 / log(1.02 + f)
    (Paszke et al. 2016, "ENet", arXiv:1606.02147, section 5.2), and `median-frequency` is
    median(f) / f over the classes that occur (Eigen and Fergus 2015, arXiv:1411.4734, section
    6.3.2). A class that never occurs has weight 0 in the second.

    Args:
        kind: Which formula.
        counts: (K,) pixels of each class.

    Example:
        >>> balanced_weights("median-frequency", np.array([30, 10, 0])).tolist()
        [0.75, 2.25, 0.0]
    """
    share = counts / max(1, counts.sum())
    if kind == "log-frequency":
        weights = 1 / np.log(1.02 + share)
    else:
        weights, occurs = np.zeros(len(share)), share > 0
        weights[occurs] = np.median(share[occurs]) / share[occurs] if occurs.any() else 0
    return weights / (weights.mean() or 1)


def class_shares(names: Sequence[str], counts: np.ndarray) -> list[ClassShare]:
    """Return one line for each class, in their order; nothing where no pixel is labelled."""
    if not counts.any():
        return []
    columns = (
        counts / counts.sum(),
        balanced_weights("log-frequency", counts),
        balanced_weights("median-frequency", counts),
    )
    return [ClassShare(name, *map(float, row)) for name, *row in zip(names, *columns, strict=True)]


def rare_findings(shares: Sequence[ClassShare]) -> list[Finding]:
    """Return which classes a plain loss is likely to forget."""
    rare = [line for line in shares if 0 < line.share < _RARE]
    if not rare:
        return []
    listed = ", ".join(f"'{line.name}' {100 * line.share:.3f} %" for line in rare[:5])
    what = f"rare in the training masks: {listed}"
    return [
        Finding("class-rare", "note", what, "train with --set train.class_weights=log-frequency")
    ]
