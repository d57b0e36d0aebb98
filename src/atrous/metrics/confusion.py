"""Scores of a segmentation, all from one confusion matrix over the whole data set.

Entry (t, p) of the matrix counts the pixels of true class t that were predicted as class p, as in
Pascal VOC and Cityscapes: no score is an average over images. Fractions are 0 to 1; a score
without a single pixel to judge by is NaN.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a confusion matrix says, as fractions.

    Attributes:
        mean_iou: Mean of the classes that occur.
        pixel_accuracy: Share of the pixels that are right.
        mean_class_accuracy: Mean over the true classes of the share of their pixels found.
        frequency_weighted_iou: Mean IoU, weighted by how many pixels each class truly has.
        class_iou: One per class; NaN for a class that occurs neither in truth nor prediction.
    """

    mean_iou: float
    pixel_accuracy: float
    mean_class_accuracy: float
    frequency_weighted_iou: float
    class_iou: tuple[float, ...]


class ConfusionMatrix:
    """Counts pixels by true and predicted class, over any number of updates.

    Args:
        num_classes: Number of classes K.
        ignore_index: Pixels of this true label are not counted, whatever was predicted there.

    Attributes:
        matrix: (K, K) int64 on the CPU, rows are the truth.

    Raises:
        ValueError: `num_classes` is below 1, or `ignore_index` is one of the classes.

    Example:
        >>> confusion = ConfusionMatrix(2)
        >>> confusion.update(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]))
        >>> confusion.matrix.tolist()
        [[1, 1], [0, 0]]
        >>> confusion.compute().mean_iou
        0.25
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        if 0 <= ignore_index < num_classes:
            raise ValueError(f"ignore_index {ignore_index} is one of the {num_classes} classes")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count the pixels of one or more images.

        Args:
            prediction: Predicted classes, integers of any shape on any device.
            target: True classes and `ignore_index`, integers of the same shape and device.

        Raises:
            ValueError: The shapes differ, a value is no integer, or one that counts is no class;
                nothing is counted then.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction and target must have one shape, got {tuple(prediction.shape)} and "
                f"{tuple(target.shape)}"
            )
        _refuse_fractions(prediction, "prediction")
        _refuse_fractions(target, "target")
        counted = target != self.ignore_index
        truth, guess = target[counted].long(), prediction[counted].long()
        self._check_classes(truth, "target")
        self._check_classes(guess, "prediction")
        pairs = torch.bincount(self.num_classes * truth + guess, minlength=self.num_classes**2)
        self.matrix += pairs.view(self.num_classes, self.num_classes).cpu()

    def compute(self) -> Scores:
        """Return the scores of all that was counted so far."""
        return Scores(
            mean_iou=mean_iou(self.matrix),
            pixel_accuracy=pixel_accuracy(self.matrix),
            mean_class_accuracy=mean_class_accuracy(self.matrix),
            frequency_weighted_iou=frequency_weighted_iou(self.matrix),
            class_iou=tuple(class_iou(self.matrix).tolist()),
        )

    def _check_classes(self, values: Tensor, what: str) -> None:
        wrong = values[(values < 0) | (values >= self.num_classes)]
        if len(wrong):
            raise ValueError(
                f"{what} holds {int(wrong[0])} ({len(wrong)} such pixels), expected classes 0 to "
                f"{self.num_classes - 1}; make it {self.ignore_index} in the target to ignore it"
            )


def class_iou(matrix: Tensor) -> Tensor:
    """Return intersection over union per class.

    Args:
        matrix: (K, K) counts, rows are the truth.

    Returns:
        (K,) float64; NaN for a class that occurs neither in truth nor prediction.

    Example:
        >>> class_iou(torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])).tolist()
        [0.5, 0.5714285714285714, nan]
    """
    counts = _as_float(matrix)
    hits = counts.diagonal()
    return hits / (counts.sum(dim=0) + counts.sum(dim=1) - hits)


def mean_iou(matrix: Tensor) -> float:
    """Return the mean IoU over the classes that occur in truth or prediction, from 0 to 1.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.

    Example:
        >>> mean_iou(torch.tensor([[3, 1], [0, 4]]))  # of 3/4 and 4/5
        0.775
    """
    return class_iou(matrix).nanmean().item()


def pixel_accuracy(matrix: Tensor) -> float:
    """Return the share of pixels whose class is right, from 0 to 1.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.

    Example:
        >>> pixel_accuracy(torch.tensor([[3, 1], [0, 4]]))
        0.875
    """
    counts = _as_float(matrix)
    return (counts.trace() / counts.sum()).item()


def mean_class_accuracy(matrix: Tensor) -> float:
    """Return the mean, over the classes that truly occur, of the share of their pixels found.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.

    Example:
        >>> mean_class_accuracy(torch.tensor([[3, 1], [0, 4]]))  # of 3/4 and 4/4
        0.875
    """
    counts = _as_float(matrix)
    return (counts.diagonal() / counts.sum(dim=1)).nanmean().item()


def frequency_weighted_iou(matrix: Tensor) -> float:
    """Return the mean IoU, each class weighted by its share of the true pixels, from 0 to 1.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.

    Example:
        >>> frequency_weighted_iou(torch.tensor([[3, 1], [0, 4]]))
        0.775
    """
    counts = _as_float(matrix)
    frequency = counts.sum(dim=1) / counts.sum()
    # A class that occurs nowhere weighs nothing, and its IoU is NaN.
    return (frequency * class_iou(matrix).nan_to_num()).sum().item()


def _as_float(matrix: Tensor) -> Tensor:
    """Return the counts in double precision, on the CPU since not all devices have it."""
    return matrix.cpu().double()


def _refuse_fractions(values: Tensor, what: str) -> None:
    if values.is_floating_point() or values.is_complex():
        raise ValueError(f"{what} must hold integers, got {values.dtype}; take the argmax first")
