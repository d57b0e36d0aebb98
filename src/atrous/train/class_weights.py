"""Weights of the classes in the loss, so that rare ones are not forgotten."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from atrous.data import Dataset
from atrous.data.doctor.frequencies import Balance, balanced_weights
from atrous.errors import RecipeError
from atrous.train.processes import ALONE, World


def count_labels(dataset: Dataset, world: World = ALONE) -> np.ndarray:
    """Return (K,) int64: how many pixels of a data set each class has.

    Each process counts a part of them.
    """
    counts = np.zeros(256, dtype=np.int64)
    for index in range(world.rank, len(dataset), world.size):
        counts += np.bincount(dataset[index].labels.reshape(-1), minlength=256)
    return world.sum(torch.from_numpy(counts)).numpy()[: len(dataset.classes)]


def class_weights(
    kind: Literal["none"] | Balance | Sequence[float], dataset: Dataset, world: World = ALONE
) -> Tensor | None:
    """Return (K,) weights of mean 1, or None for equal ones.

    `log-frequency` and `median-frequency` are those of `balanced_weights`, for the pixels of the
    data set; other weights are numbers.

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
    return torch.from_numpy(balanced_weights(kind, count_labels(dataset, world))).float()
