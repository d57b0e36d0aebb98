"""The one way from a picture to its labels, for prediction and evaluation alike."""

import numpy as np
import torch
from torch import Tensor

from atrous.fast.engines import Engine
from atrous.kernels.label_map import label_map

# Logits at full size that are brought there plainly before the compiled way is loaded, which takes
# a second or two: about as much as these have taken by then.
_ENOUGH = 200_000_000
_brought = 0


def label_image(engine: Engine, image: np.ndarray) -> Tensor:
    """Return the most likely class of each pixel.

    Args:
        engine: What computes the network.
        image: (H, W, 3) uint8 RGB.

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
    height, width = image.shape[:2]
    return _labels(logits, (height, width))[0]


def _labels(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the label maps (B, H, W), by the compiled way once there is enough to do."""
    global _brought  # noqa: PLW0603, one number for the process, as is what it counts
    values = len(logits) * logits.shape[1] * size[0] * size[1]
    if logits.device.type != "cpu" or _brought + values < _ENOUGH:
        _brought += values
        # Channels last, bringing them to size takes half the time.
        return label_map(logits.contiguous(memory_format=torch.channels_last), size=size)
    from atrous.kernels.label_map_cpu import paint_label_map

    dtype = torch.uint8 if logits.shape[1] <= 255 else torch.int32
    labels = torch.empty((len(logits), *size), dtype=dtype)
    paint_label_map(logits, labels)
    return labels
