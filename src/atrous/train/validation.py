"""A validation in the midst of a training: scores, and pictures of some images."""

from pathlib import Path
from typing import Any

from torch import Tensor

from atrous.data import Dataset, Sample
from atrous.evaluate import Evaluation, evaluate
from atrous.models import SegmentationModel
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog
from atrous.train.preview import write_preview
from atrous.train.progress import Progress


def validate(
    model: SegmentationModel,
    dataset: Dataset,
    *,
    step: int,
    device: str,
    previews: int,
    folder: Path,
    log: MetricsLog,
    progress: Progress,
    interruption: Interruption,
) -> Evaluation:
    """Judge a network.

    Args:
        model: The network.
        dataset: The validation images.
        step: Steps taken so far, for the log.
        device: Where the network runs.
        previews: Images of which a picture is written, spread over all.
        folder: Where the pictures are kept.
        log: Gets the pictures too.
        progress: Is told of each image.
        interruption: Ends it when a signal came.

    Raises:
        StoppedError: A signal came.
    """
    chosen = _spread(previews, len(dataset))
    with progress.validation(len(dataset)) as advance:

        def on_image(sample: Sample, labels: Tensor) -> None:
            if interruption.signal is not None:
                raise StoppedError
            if advance() in chosen:
                prediction = labels.cpu().numpy()
                picture = write_preview(folder, sample, prediction, palette=model.palette)
                log.add_picture(step, f"preview/{sample.name}", picture)

        return evaluate(model, dataset, device=device, on_image=on_image)


def row(evaluation: Evaluation) -> dict[str, Any]:
    """Return the scores by the columns of `metrics.csv`."""
    scores = evaluation.scores
    values = {"val_mean_iou": scores.mean_iou, "val_pixel_accuracy": scores.pixel_accuracy}
    for name, iou in zip(evaluation.classes, scores.class_iou, strict=True):
        values[f"val_iou/{name}"] = iou
    return values


def _spread(count: int, length: int) -> set[int]:
    """Return the numbers, from 1, of `count` images spread evenly over `length`."""
    count = min(count, length)
    return {1 + index * length // count for index in range(count)}
