"""A validation in the midst of a training: scores, and pictures of some images."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrous.data import Dataset, Sample
from atrous.evaluate import Evaluation, evaluate
from atrous.metrics import ConfusionMatrix
from atrous.models import SegmentationModel
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog, SilentLog
from atrous.train.preview import write_preview
from atrous.train.processes import ALONE, World
from atrous.train.progress import Progress


def validate(
    model: SegmentationModel,
    dataset: Dataset,
    *,
    step: int,
    device: str,
    previews: int,
    folder: Path,
    log: MetricsLog | SilentLog,
    progress: Progress,
    interruption: Interruption,
    world: World = ALONE,
) -> Evaluation:
    """Judge a network. Each process takes a part of the images.

    Args:
        model: The network.
        dataset: The validation images.
        step: Steps taken so far, for the log.
        device: Where the network runs.
        previews: Images of which the first process writes a picture, spread over its part.
        folder: Where the pictures are kept.
        log: Gets the pictures too.
        progress: Is told of each image.
        interruption: Ends it when a signal came.
        world: Who judges along.

    Raises:
        StoppedError: A signal came, to any process.
    """
    part = _Part(dataset, world)
    chosen = _spread(previews if world.is_first else 0, len(part))
    evaluation = None
    with progress.validation(len(part)) as advance:

        def on_image(sample: Sample, labels: Tensor) -> None:
            if interruption.signal is not None:
                raise StoppedError
            if advance() in chosen:
                prediction = labels.cpu().numpy()
                picture = write_preview(folder, sample, prediction, palette=model.palette)
                log.add_picture(step, f"preview/{sample.name}", picture)

        with suppress(StoppedError):
            evaluation = evaluate(model, part, device=device, on_image=on_image)
    [is_stopped] = world.largest(evaluation is None)
    if evaluation is None or is_stopped:
        raise StoppedError
    return _of_all(evaluation, len(dataset), world)


def row(evaluation: Evaluation) -> dict[str, Any]:
    """Return the scores by the columns of `metrics.csv`."""
    scores = evaluation.scores
    values = {"val_mean_iou": scores.mean_iou, "val_pixel_accuracy": scores.pixel_accuracy}
    for name, iou in zip(evaluation.classes, scores.class_iou, strict=True):
        values[f"val_iou/{name}"] = iou
    return values


class _Part:
    """Every N-th image of a data set, for one of N processes."""

    def __init__(self, dataset: Dataset, world: World) -> None:
        self.name, self.classes, self.palette = dataset.name, dataset.classes, dataset.palette
        self._dataset = dataset
        self._numbers = range(world.rank, len(dataset), world.size)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Sample:
        return self._dataset[self._numbers[index]]


def _of_all(evaluation: Evaluation, images: int, world: World) -> Evaluation:
    """Return what all processes found out, each on its part of `images`."""
    confusion = ConfusionMatrix(len(evaluation.classes))
    confusion.matrix += world.sum(torch.from_numpy(evaluation.matrix))
    matrix = confusion.matrix.numpy()
    return replace(evaluation, scores=confusion.compute(), matrix=matrix, images=images)


def _spread(count: int, length: int) -> set[int]:
    """Return the numbers, from 1, of `count` images spread evenly over `length`."""
    count = min(count, length)
    return {1 + index * length // count for index in range(count)}
