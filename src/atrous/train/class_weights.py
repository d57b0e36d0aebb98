"""Weights of the classes in the loss, so that rare ones are not forgotten."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from atrous.data import Dataset
from atrous.errors import RecipeError


def count_labels(dataset: Dataset) -> np.ndarray:
    """Return (K,) int64: how many pixels of a data set each class has."""
    counts = np.zeros(256, dtype=np.int64)
    for index in range(len(dataset)):
        counts += np.bincount(dataset[index].labels.reshape(-1), minlength=256)
    return counts[: len(dataset.classes)]


def class_weights(kind: str | Sequence[float], dataset: Dataset) -> Tensor | None:
    """Return (K,) weights of mean 1, or None for equal ones.

    With f the share of a class among the labelled pixels of the data set, `log-frequency` is
    1 / log(1.02 + f) (Paszke et al. 2016, "ENet", arXiv:1606.02147, section 5.2), and
    `median-frequency` is median(f) / f over the classes that occur (Eigen and Fergus 2015,
    arXiv:1411.4734, section 6.3.2). A class that never occurs has weight 0 in the second.

    Raises:
        RecipeError: The numbers given are not one for each class.
    """
    if kind == "none":
        return None
    if not isinstance(kind, str):
        if len(kind) != len(dataset.classes):
            raise RecipeError(
                f"train.class_weights has {len(kind)} numbers for {len(dataset.classes)} classes"
            )
        return torch.tensor(kind)
    counts = count_labels(dataset)
    share = counts / max(1, counts.sum())
    if kind == "log-frequency":
        weights = 1 / np.log(1.02 + share)
    else:
        occurs = share > 0
        weights = np.zeros(len(share))
        weights[occurs] = np.median(share[occurs]) / share[occurs]
    return torch.from_numpy(weights / weights.mean()).float()
