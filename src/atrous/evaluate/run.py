"""Run a model over a data set and count, pixel by pixel, what it took for what."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from atrous.data import Dataset, Sample
from atrous.errors import DataError
from atrous.evaluate.evaluation import Evaluation
from atrous.fast.engines import ExportedModel
from atrous.metrics import ConfusionMatrix
from atrous.models import SegmentationModel
from atrous.predict.engine import pick_engine
from atrous.predict.label_image import label_image

OnImage = Callable[[Sample, Tensor], object]


def evaluate(
    model: SegmentationModel | ExportedModel,
    dataset: Dataset,
    *,
    device: str = "auto",
    engine: str | None = None,
    precision: str = "fp32",
    on_image: OnImage | None = None,
) -> Evaluation:
    """Score a model on a data set: one image at a time, each at its own size.

    Args:
        model: The network, or an exported file. The engine `torch` moves a network to the device,
            and leaves its mode.
        dataset: Images with labels, of the model's classes.
        device: `auto` (the best there is), `cpu`, `cuda`, `cuda:1` or `mps`.
        engine: What computes it, as for `atrous.Segmenter`. When left out it is `torch`, the
            network as it is written; or what the exported file is for.
        precision: `fp32` or `bf16`.
        on_image: Called after each image with the sample and the predicted labels, (H, W) uint8
            on the device.

    Returns:
        The scores over the whole data set; pixels labelled 255 count nowhere.

    Raises:
        DataError: The classes of model and data set differ, or a sample cannot be read.
        UsageError: The device, the engine or the precision is unknown, or they do not go together.
        MissingExtraError: The engine is not installed.

    Example:
        >>> from atrous.data import ShapesDataset
        >>> from atrous.models import create_model
        >>> dataset = ShapesDataset("val", length=2, size=(64, 64))
        >>> model = create_model("deeplabv3", backbone="resnet18", classes=dataset.classes)
        >>> evaluate(model, dataset, device="cpu").images
        2
    """
    check_classes(model.classes, dataset)
    if engine is None:
        engine = "torch" if isinstance(model, SegmentationModel) else "auto"
    computing = pick_engine(engine, model, device=device, precision=precision)
    align_corners = model.blueprint.conventions.align_corners
    confusion = ConfusionMatrix(len(model.classes))
    for index in range(len(dataset)):
        sample = dataset[index]
        labels = label_image(computing, sample.image, align_corners=align_corners)
        truth = torch.tensor(np.ascontiguousarray(sample.labels), device=labels.device)
        confusion.update(labels, truth)
        if on_image is not None:
            on_image(sample, labels)
    return Evaluation(
        scores=confusion.compute(),
        matrix=confusion.matrix.numpy(),
        classes=model.classes,
        palette=model.palette,
        images=len(dataset),
        dataset=dataset.name,
    )


def check_classes(classes: tuple[str, ...], dataset: Dataset) -> None:
    """Make sure that label k means the same to a model and to a data set, for every k.

    Args:
        classes: Those of the model, in the order of its logits.
        dataset: What the model shall be scored on.

    Raises:
        DataError: The names, or their order, differ; the message lists the difference.
    """
    if classes == dataset.classes:
        return
    lacking = [name for name in dataset.classes if name not in classes]
    surplus = [name for name in classes if name not in dataset.classes]
    differences = [
        *([f"the model lacks {', '.join(lacking)}"] if lacking else []),
        *([f"the data set lacks {', '.join(surplus)}"] if surplus else []),
    ]
    raise DataError(
        f"{dataset.name}: its classes are not those of the model: "
        f"{'; '.join(differences) or 'they are in another order'}; "
        f"give the data set the model's classes, in its order: {' '.join(classes)}"
    )
