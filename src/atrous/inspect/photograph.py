"""What a network makes of one photograph, and how sure it is.

Paper: Vinogradova et al. 2020, "Towards Interpretable Semantic Segmentation via Gradient-weighted
Class Activation Mapping", arXiv:2002.11434 (`class_activation`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atrous.fast.engines.torch_engine import eval_mode
from atrous.inspect.contributions import Contribution, contributions
from atrous.inspect.effective_field import effective_fields, middle
from atrous.kernels.label_map import label_map
from atrous.models import SegmentationModel
from atrous.predict import Segmentation

_LONGEST = 1024  # px of a photograph that no size is asked for
_SHOWN = 4  # classes whose activation is shown: the largest ones


@dataclass(frozen=True, eq=False)
class PhotoView:
    """A photograph under the eyes of a network; maps are on the grid that is classified.

    Attributes:
        result: The photograph and its labels.
        confidence: Probability of the most likely class, (h, w).
        entropy: Entropy of the probabilities over log K, (h, w): 0 is sure, 1 is no idea.
        contributions: What each branch of the pyramid does.
        activations: Class activation, (h, w) from 0 to 1, for the largest classes.
        fields: Effective receptive fields on this photograph, by the name of the branch.
    """

    result: Segmentation
    confidence: Tensor
    entropy: Tensor
    contributions: tuple[Contribution, ...]
    activations: Mapping[str, Tensor]
    fields: Mapping[str, Tensor]


def view_photo(model: SegmentationModel, image: np.ndarray) -> PhotoView:
    """Look at a photograph through a model, which stays as it is.

    Args:
        model: The network, on the CPU.
        image: (H, W, 3) uint8 RGB.

    Example:
        >>> from atrous.models import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> view = view_photo(model, np.zeros((40, 56, 3), dtype=np.uint8))
        >>> view.entropy.shape, [one.name for one in view.contributions]
        (torch.Size([3, 4]), ['1x1', 'rate 6', 'rate 12', 'rate 18', 'image'])
    """
    size = image.shape[0], image.shape[1]
    pixels = torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0)
    images = model.preprocessing(pixels)
    with eval_mode(model), torch.no_grad():
        features = model.backbone(images)
        logits = model.coarse_logits(images)
    corners = model.blueprint.conventions.align_corners
    labels = label_map(logits, size=size, align_corners=corners)[0].numpy()
    confidence, entropy = certainty(logits)
    result = Segmentation(image, labels, model.classes, model.palette)
    largest = sorted(result.shares().items(), key=lambda one: -one[1])[:_SHOWN]
    return PhotoView(
        result,
        confidence[0],
        entropy[0],
        contributions(model, features, size),
        {
            name: class_activation(model, images, model.classes.index(name))
            for name, share in largest
            if share > 0
        },
        effective_fields(model, middle(images)),
    )


def fit_photo(image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a photograph brought to a size, or to 1024 pixels along its longer side if larger.

    All that is looked at takes several times the memory of a prediction.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: Rows and columns.

    Example:
        >>> fit_photo(np.zeros((3000, 4000, 3), dtype=np.uint8)).shape
        (768, 1024, 3)
    """
    height, width = image.shape[:2]
    shrink = min(1.0, _LONGEST / max(height, width))
    rows, columns = size or (max(1, round(height * shrink)), max(1, round(width * shrink)))
    if (rows, columns) == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR))


def certainty(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest probability and the entropy over its maximum, (B, h, w) each.

    Args:
        logits: (B, K, h, w).

    Example:
        >>> confidence, entropy = certainty(torch.zeros(1, 4, 1, 1))
        >>> confidence.item(), entropy.item()
        (0.25, 1.0)
    """
    logs = logits.log_softmax(dim=1)
    probabilities = logs.exp()
    most = float(np.log(max(2, logits.shape[1])))
    return probabilities.amax(dim=1), -(probabilities * logs).sum(dim=1) / most


def class_activation(model: SegmentationModel, images: Tensor, label: int) -> Tensor:
    """Return where the deepest map speaks for a class: gradient-weighted class activation.

    The channels are weighted by the mean gradient of the class's logits, summed over the cells
    where the class is the most likely one, and what is negative counts as 0.

    Args:
        model: Left as it is.
        images: A preprocessed photograph (1, C, H, W).
        label: Number of the class.

    Returns:
        (h, w) from 0 to 1 on the grid of the deepest map.
    """
    with eval_mode(model):
        with torch.no_grad():
            features = model.backbone(images)
        deep = features.deep.detach().requires_grad_()
        logits = model.classify(features._replace(deep=deep))
        mine = logits.argmax(dim=1) == label
        (gradient,) = torch.autograd.grad((logits[:, label] * mine).sum(), deep)
    heat = (deep.detach() * gradient.mean(dim=(-2, -1), keepdim=True)).sum(dim=1)[0].relu()
    return heat / heat.max().clamp_min(torch.finfo(heat.dtype).tiny)
