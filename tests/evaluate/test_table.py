import numpy as np
import torch
from rich.console import Console

from atrous.evaluate import Evaluation
from atrous.evaluate.table import score_table
from atrous.metrics import ConfusionMatrix


def shown(matrix, classes):
    confusion = ConfusionMatrix(len(matrix))
    confusion.matrix += torch.tensor(matrix)
    palette = ((0, 0, 0),) * len(matrix)
    found = Evaluation(confusion.compute(), np.array(matrix), classes, palette, 3, "demo")
    console = Console(width=80)
    with console.capture() as capture:
        console.print(score_table(found))
    return [line.split() for line in capture.get().splitlines() if line.strip()]


def test_one_line_per_class_in_percent_then_the_scores_over_all():
    lines = shown([[3, 1, 0], [2, 2, 0], [0, 0, 0]], ("road", "car", "[bold]"))
    assert lines == [
        ["class", "IoU", "%", "accuracy", "%", "pixels", "%"],
        ["road", "50.00", "75.00", "50.00"],
        ["car", "40.00", "50.00", "50.00"],
        ["[bold]", "n/a", "n/a", "0.00"],
        ["mIoU", "45.00", "%"],
        ["pixel", "accuracy", "62.50", "%"],
        ["mean", "class", "accuracy", "62.50", "%"],
        ["frequency-weighted", "IoU", "45.00", "%"],
    ]
