"""Label maps: the class of each pixel, from logits on a coarser grid."""

import torch
from torch import Tensor
from torch.nn import functional as F


def label_map(logits: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Return the most likely class of each pixel, for logits brought to `size` bilinearly.

    Args:
        logits: (B, K, h, w), for K classes on any grid.
        size: Rows and columns of the result.

    Returns:
        (B, H, W) uint8, or int32 for more than 255 classes.

    Example:
        >>> label_map(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), size=(1, 4))
        tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    """
    logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits.argmax(dim=1).to(torch.uint8 if logits.shape[1] <= 255 else torch.int32)
