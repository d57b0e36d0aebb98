import json
import math

import numpy as np
import pytest
import torch

from atrous.evaluate import Evaluation
from atrous.metrics import ConfusionMatrix


def evaluation(matrix):
    """The evaluation that has this confusion matrix."""
    confusion = ConfusionMatrix(len(matrix))
    confusion.matrix += torch.tensor(matrix)
    names = tuple(f"class {number}" for number in range(len(matrix)))
    palette = ((0, 0, 0),) * len(matrix)
    return Evaluation(confusion.compute(), np.array(matrix), names, palette, 3, "demo")


def test_class_accuracy_is_the_share_of_true_pixels_found():
    accuracy = evaluation([[3, 1, 0], [2, 2, 0], [0, 0, 0]]).class_accuracy
    assert accuracy[:2] == (0.75, 0.5)
    assert math.isnan(accuracy[2])


def test_class_shares_are_those_of_the_truth():
    assert evaluation([[3, 1], [2, 2]]).class_shares == (0.5, 0.5)
    assert evaluation([[0, 0], [1, 3]]).class_shares == (0.0, 1.0)


def test_json_holds_all_scores_and_null_for_absent_ones():
    found = json.loads(json.dumps(evaluation([[3, 1, 0], [2, 2, 0], [0, 0, 0]]).to_json()))
    assert found["mean_iou"] == pytest.approx((3 / 6 + 2 / 5) / 2)
    assert found["pixel_accuracy"] == pytest.approx(5 / 8)
    assert found["mean_class_accuracy"] == pytest.approx(0.625)
    assert found["frequency_weighted_iou"] == pytest.approx((3 / 6 + 2 / 5) / 2)
    assert found["classes"][2] == {"name": "class 2", "iou": None, "accuracy": None, "share": 0.0}
    assert found["confusion_matrix"][0] == [3, 1, 0]
    assert (found["dataset"], found["images"], found["pixels"]) == ("demo", 3, 8)


def test_nothing_scored_is_valid_json_too():
    text = json.dumps(evaluation([[0, 0], [0, 0]]).to_json(), allow_nan=False)
    assert json.loads(text)["mean_iou"] is None
