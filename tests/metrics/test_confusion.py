import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from atrous.metrics import (
    ConfusionMatrix,
    class_iou,
    frequency_weighted_iou,
    mean_class_accuracy,
    mean_iou,
    pixel_accuracy,
)

IGNORE = 255
ABSENT = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])  # class 2 occurs nowhere
UNSEEN = torch.tensor([[3, 1, 0], [2, 4, 2], [0, 0, 0]])  # class 2 is predicted, but never true


@st.composite
def labelled_pixels(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    """A number of classes, predictions, and truth with pixels to ignore."""
    num_classes = draw(st.integers(1, 6))
    count = draw(st.integers(0, 40))
    classes = st.integers(0, num_classes - 1)
    guess = draw(st.lists(classes, min_size=count, max_size=count))
    truth = draw(st.lists(classes | st.just(IGNORE), min_size=count, max_size=count))
    return num_classes, np.array(guess, dtype=np.uint8), np.array(truth, dtype=np.uint8)


def counted_by_hand(num_classes: int, guess: np.ndarray, truth: np.ndarray) -> list[list[int]]:
    matrix = [[0] * num_classes for _ in range(num_classes)]
    for g, t in zip(guess.tolist(), truth.tolist(), strict=True):
        if t != IGNORE:
            matrix[t][g] += 1
    return matrix


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def mean(values: list[float]) -> float:
    present = [value for value in values if not math.isnan(value)]
    return math.fsum(present) / len(present) if present else math.nan


def iou_by_sets(num_classes: int, guess: np.ndarray, truth: np.ndarray) -> list[float]:
    """IoU by its definition, on sets of pixels."""
    counted = {i for i, t in enumerate(truth.tolist()) if t != IGNORE}
    ious = []
    for k in range(num_classes):
        true = {i for i in counted if truth[i] == k}
        found = {i for i in counted if guess[i] == k}
        ious.append(ratio(len(true & found), len(true | found)))
    return ious


@given(pixels=labelled_pixels())
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_all_scores_are_as_counted_by_hand(pixels: tuple[int, np.ndarray, np.ndarray]) -> None:
    num_classes, guess, truth = pixels
    confusion = ConfusionMatrix(num_classes)
    confusion.update(torch.from_numpy(guess), torch.from_numpy(truth))
    matrix = counted_by_hand(num_classes, guess, truth)
    assert confusion.matrix.tolist() == matrix

    ious = iou_by_sets(num_classes, guess, truth)
    total = sum(map(sum, matrix))
    hits = [matrix[k][k] for k in range(num_classes)]
    weighted = [sum(matrix[k]) * ious[k] for k in range(num_classes) if sum(matrix[k])]
    scores = confusion.compute()
    assert scores.class_iou == pytest.approx(ious, abs=1e-12, nan_ok=True)
    assert scores.mean_iou == pytest.approx(mean(ious), abs=1e-12, nan_ok=True)
    assert scores.pixel_accuracy == pytest.approx(ratio(sum(hits), total), nan_ok=True)
    assert scores.mean_class_accuracy == pytest.approx(
        mean([ratio(hits[k], sum(matrix[k])) for k in range(num_classes)]), abs=1e-12, nan_ok=True
    )
    assert scores.frequency_weighted_iou == pytest.approx(
        sum(weighted) / total if total else math.nan, abs=1e-12, nan_ok=True
    )


@given(pixels=labelled_pixels(), cut=st.floats(0, 1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_many_updates_count_as_one(pixels: tuple[int, np.ndarray, np.ndarray], cut: float) -> None:
    num_classes, guess, truth = pixels
    place = int(cut * len(guess))
    at_once, in_parts = ConfusionMatrix(num_classes), ConfusionMatrix(num_classes)
    at_once.update(torch.from_numpy(guess), torch.from_numpy(truth))
    for part in (slice(None, place), slice(place, None)):
        in_parts.update(torch.from_numpy(guess[part]), torch.from_numpy(truth[part]))
    assert torch.equal(at_once.matrix, in_parts.matrix)


def test_scores_of_a_known_matrix() -> None:
    matrix = torch.tensor([[3, 1], [2, 4]])
    assert class_iou(matrix).tolist() == [3 / 6, 4 / 7]
    assert mean_iou(matrix) == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert pixel_accuracy(matrix) == 0.7
    assert mean_class_accuracy(matrix) == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert frequency_weighted_iou(matrix) == pytest.approx(0.4 * 3 / 6 + 0.6 * 4 / 7)


def test_rows_are_the_truth() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(prediction=torch.tensor([2, 2]), target=torch.tensor([0, 1]))
    assert confusion.matrix.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_a_class_that_occurs_nowhere_is_left_out_of_the_means() -> None:
    assert math.isnan(class_iou(ABSENT)[2])
    smaller = ABSENT[:2, :2]
    for score in (mean_iou, pixel_accuracy, mean_class_accuracy, frequency_weighted_iou):
        assert score(ABSENT) == score(smaller)


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    assert class_iou(UNSEEN).tolist() == [3 / 6, 4 / 9, 0]
    assert mean_iou(UNSEEN) == pytest.approx((3 / 6 + 4 / 9) / 3)
    assert mean_class_accuracy(UNSEEN) == pytest.approx((3 / 4 + 4 / 8) / 2)


@pytest.mark.parametrize("ignore_index", [255, -1, 3, -100])
def test_ignored_pixels_count_for_nothing_whatever_is_predicted_there(ignore_index: int) -> None:
    confusion = ConfusionMatrix(3, ignore_index)
    target = torch.tensor([0, ignore_index, 2, ignore_index, ignore_index])
    confusion.update(torch.tensor([0, 1, 1, 3, 255]), target)
    assert confusion.matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert confusion.compute().pixel_accuracy == 0.5


def test_where_all_is_ignored_there_is_no_score() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.zeros(4, 4, dtype=torch.uint8), torch.full((4, 4), IGNORE))
    scores = confusion.compute()
    assert confusion.matrix.sum() == 0
    assert all(map(math.isnan, [scores.mean_iou, scores.pixel_accuracy, *scores.class_iou]))
    assert math.isnan(scores.mean_class_accuracy)
    assert math.isnan(scores.frequency_weighted_iou)


def test_the_last_class_counts() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.tensor([2, 2, 1]), torch.tensor([2, 2, 2]))
    assert confusion.compute().class_iou[2] == pytest.approx(2 / 3)


def test_perfect_and_hopeless_predictions() -> None:
    target = torch.arange(4).repeat(5)
    perfect, hopeless = ConfusionMatrix(4), ConfusionMatrix(4)
    perfect.update(target, target)
    hopeless.update((target + 1) % 4, target)
    assert perfect.compute().mean_iou == perfect.compute().frequency_weighted_iou == 1
    assert hopeless.compute().mean_iou == hopeless.compute().pixel_accuracy == 0


def test_scores_are_of_the_data_set_not_a_mean_over_images() -> None:
    confusion = ConfusionMatrix(2)
    confusion.update(torch.tensor([1]), torch.tensor([1]))
    confusion.update(torch.zeros(9, dtype=torch.int64), torch.tensor([1] * 9))
    assert confusion.compute().class_iou[1] == 0.1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("shape", [(), (24,), (4, 6), (2, 3, 4)])
def test_any_integers_of_any_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    pixels = torch.arange(math.prod(shape)).reshape(shape) % 100
    confusion = ConfusionMatrix(100)  # 100 * 99 does not fit into a byte
    confusion.update(pixels.to(dtype), pixels.to(dtype))
    assert torch.equal(confusion.matrix.diagonal(), torch.bincount(pixels.flatten(), minlength=100))
    assert confusion.matrix.sum() == math.prod(shape)


def test_views_that_are_not_contiguous() -> None:
    guess = torch.tensor([[0, 1, 1], [1, 0, 0]], dtype=torch.uint8)
    confusion = ConfusionMatrix(2)
    confusion.update(guess.T, guess.T.contiguous())
    assert confusion.matrix.tolist() == [[3, 0], [0, 3]]


def test_counts_beyond_single_precision_stay_exact() -> None:
    confusion = ConfusionMatrix(2)
    confusion.matrix[0, 0] = 2**40
    confusion.update(torch.tensor([0]), torch.tensor([0]))
    assert confusion.matrix[0, 0] == 2**40 + 1


@pytest.mark.parametrize(
    ("guess", "truth", "message"),
    [
        (torch.tensor([0, 3]), torch.tensor([0, 1]), r"prediction holds 3 \(1 such pixels\)"),
        (torch.tensor([0, -1]), torch.tensor([0, 1]), "prediction holds -1 .* classes 0 to 2"),
        (torch.tensor([0, 255]), torch.tensor([0, 1]), "prediction holds 255"),
        (torch.tensor([0, 1]), torch.tensor([3, 1]), "target holds 3 .*; make it 255"),
        (torch.tensor([0, 1]), torch.tensor([-1, 1]), "target holds -1"),
        (torch.tensor([0, 1]), torch.tensor([1]), r"one shape, got \(2,\) and \(1,\)"),
        (torch.tensor([0.0]), torch.tensor([1]), "prediction must hold integers, got torch.float"),
        (torch.tensor([0]), torch.tensor([1.0]), "target must hold integers, got torch.float32"),
    ],
)
def test_what_cannot_be_counted_is_refused(guess: Tensor, truth: Tensor, message: str) -> None:
    confusion = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=message):
        confusion.update(guess, truth)
    assert confusion.matrix.sum() == 0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match="ignore_index 2 is one of the 3 classes"):
        ConfusionMatrix(3, ignore_index=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_counts_on_the_gpu_as_on_the_cpu() -> None:
    pixels = torch.arange(1000) % 7
    confusion = ConfusionMatrix(7)
    confusion.update(pixels.cuda(), pixels.flip(0).cuda())
    expected = ConfusionMatrix(7)
    expected.update(pixels, pixels.flip(0))
    assert torch.equal(confusion.matrix, expected.matrix)
