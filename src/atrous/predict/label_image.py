"""The one way from a picture to its labels, for prediction and evaluation alike."""

import numpy as np
import torch
from torch import Tensor

from atrous.fast.engines import Engine
from atrous.kernels.label_map import label_map


def label_image(engine: Engine, image: np.ndarray, *, align_corners: bool = False) -> Tensor:
    """Return the most likely class of each pixel.

    Args:
        engine: What computes the network: its logits, or its labels.
        image: (H, W, 3) uint8 RGB.
        align_corners: How the network brings its logits to the size of the image.

    Returns:
        (H, W) uint8 class numbers, where the engine computes; int32 from 256 classes on.

    Example:
        >>> from atrous.fast.engines import open_engine
        >>> from atrous.models import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> engine = open_engine("torch", model, device=torch.device("cpu"))
        >>> label_image(engine, np.zeros((30, 50, 3), dtype=np.uint8)).shape
        torch.Size([30, 50])
    """
    # A copy, since torch takes neither mirrored views nor, without a warning, read-only arrays.
    logits = engine(torch.tensor(np.ascontiguousarray(image))[None])
    if logits.ndim == 3:  # the labels of an exported file
        return logits[0]
    height, width = image.shape[:2]
    return label_map(logits, size=(height, width), align_corners=align_corners)[0]
