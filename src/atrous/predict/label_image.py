"""The one way from a picture to its labels, for prediction and evaluation alike."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from atrous.kernels.label_map import label_map
from atrous.models import SegmentationModel


def label_image(model: SegmentationModel, image: np.ndarray) -> Tensor:
    """Return the most likely class of each pixel, computed in float32 wherever the model lives.

    The model is left in the mode it had.

    Args:
        model: The network; its `preprocessing` is applied to the picture.
        image: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) uint8 class numbers, on the model's device.

    Example:
        >>> from atrous.models import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> label_image(model, np.zeros((30, 50, 3), dtype=np.uint8)).shape
        torch.Size([30, 50])
    """
    device = next(model.parameters()).device
    # A copy, since torch takes neither mirrored views nor, without a warning, read-only arrays.
    pixels = torch.tensor(np.ascontiguousarray(image), device=device)
    images = pixels.permute(2, 0, 1).unsqueeze(0)
    with eval_mode(model), torch.inference_mode(), torch.autocast(device.type, enabled=False):
        logits = model.coarse_logits(model.preprocessing(images))
        return label_map(logits, size=(image.shape[0], image.shape[1]))[0]


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while; afterwards each module has the mode it had."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
