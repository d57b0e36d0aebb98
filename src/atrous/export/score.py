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


def score(model: SegmentationModel, dataset: Dataset) -> float:
    """Return the mean IoU of a network on a data set, as a fraction.

    Args:
        model: The network, on the CPU.
        dataset: Images with labels, of the network's classes.

    Raises:
        DataError: The classes differ, or a sample cannot be read.
    """
    return evaluate(model, dataset, device="cpu").scores.mean_iou


def score_drop(before: float, run: Run, dataset: Dataset, *, model: SegmentationModel) -> Drop:
    """Score an export on a data set, one image at a time, each at its own size.

    Args:
        before: Mean IoU of its network.
        run: The export, with labels or logits as its output.
        dataset: Images with labels, of the network's classes.
        model: The network.

    Raises:
        DataError: A sample cannot be read.
    """
    confusion = ConfusionMatrix(len(model.classes))
    align_corners = model.blueprint.conventions.align_corners
    for number in range(len(dataset)):
        sample = dataset[number]
        truth = torch.tensor(np.ascontiguousarray(sample.labels))
        confusion.update(labels_of(run, sample.image, align_corners=align_corners), truth)
    after = confusion.compute().mean_iou
    return Drop(dataset.name, len(dataset), before, after)


def labels_of(run: Run, image: np.ndarray, *, align_corners: bool = False) -> torch.Tensor:
    """Return the labels (H, W) of an image (H, W, C), whatever the output of the export is.

    Args:
        run: The export.
        image: The image.
        align_corners: How the network brings its logits to the size of the image.
    """
    found = torch.from_numpy(run(np.ascontiguousarray(image)[None]))
    if found.ndim == 3:
        # Torch computes next to nothing in uint16, which files with many classes have.
        return found[0].int() if found.dtype == torch.uint16 else found[0]
    height, width = image.shape[:2]
    return label_map(found, size=(height, width), align_corners=align_corners)[0]
