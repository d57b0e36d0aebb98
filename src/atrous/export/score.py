"""What an export costs on a data set: its mean IoU beside that of its source."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from atrous.data import Dataset
from atrous.evaluate import evaluate
from atrous.export.graphs import Run
from atrous.kernels.label_map import label_map
from atrous.metrics import ConfusionMatrix
from atrous.models import SegmentationModel


@dataclass(frozen=True)
class Drop:
    """Scores on a data set, as fractions.

    Attributes:
        dataset: Its name.
        images: How many were scored.
        before: Mean IoU of the network.
        after: Mean IoU of the export.
    """

    dataset: str
    images: int
    before: float
    after: float

    @property
    def lost(self) -> float:
        """Mean IoU that the export lacks."""
        return self.before - self.after

    def to_json(self) -> dict[str, Any]:
        """Return the figures as what JSON can hold."""
        return asdict(self)


def score_drop(model: SegmentationModel, run: Run, dataset: Dataset) -> Drop:
    """Score a network and its export on a data set, one image at a time, each at its own size.

    Args:
        model: The network, on the CPU.
        run: The export, with labels or logits as its output.
        dataset: Images with labels, of the network's classes.

    Raises:
        DataError: The classes differ, or a sample cannot be read.
    """
    before = evaluate(model, dataset, device="cpu")
    confusion = ConfusionMatrix(len(model.classes))
    for number in range(len(dataset)):
        sample = dataset[number]
        truth = torch.tensor(np.ascontiguousarray(sample.labels))
        confusion.update(labels_of(run, sample.image), truth)
    after = confusion.compute().mean_iou
    return Drop(dataset.name, len(dataset), before.scores.mean_iou, after)


def labels_of(run: Run, image: np.ndarray) -> torch.Tensor:
    """Return the labels (H, W) of an image (H, W, C), whatever the output of the export is."""
    found = torch.from_numpy(run(np.ascontiguousarray(image)[None]))
    if found.ndim == 3:
        return found[0]
    return label_map(found, size=(image.shape[0], image.shape[1]))[0]
