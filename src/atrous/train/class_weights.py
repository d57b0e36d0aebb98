"""Weights of the classes in the loss, so that rare ones are not forgotten."""

from collections.abc import Callable, Sequence
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

    Each process counts a part of them. Where a data set can read labels alone, pictures stay
    unread.
    """
    labels_at = getattr(dataset, "labels_at", lambda index: dataset[index].labels)
    counts = np.zeros(256, dtype=np.int64)
    for index in range(world.rank, len(dataset), world.size):
        counts += np.bincount(labels_at(index).reshape(-1), minlength=256)
    return world.sum(torch.from_numpy(counts)).numpy()[: len(dataset.classes)]


def class_weights(
    kind: Literal["none"] | Balance | Sequence[float],
    dataset: Dataset,
    world: World = ALONE,
    *,
    say: Callable[[str], object] = lambda text: None,
) -> Tensor | None:
    """Return (K,) weights of mean 1, or None for equal ones.

    `log-frequency` and `median-frequency` are those of `balanced_weights`, for the pixels of the
    data set; other weights are numbers. `say` is told, in a line, before labels are counted.

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
    say(f"train.class_weights={kind}: counting the labels of {len(dataset):,} images")
    return torch.from_numpy(balanced_weights(kind, count_labels(dataset, world))).float()
