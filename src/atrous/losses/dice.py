"""Dice loss: the overlap of each class, however few pixels it has.

Paper: Sudre et al. 2017, "Generalised Dice overlap as a deep learning loss function for highly
unbalanced segmentations", arXiv:1707.03237.
"""

import torch
from torch import Tensor

from atrous.losses.full_size import at_full_size, counted_pixels, divided


def dice_loss(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Return 1 - 2 |P T| / (|P| + |T|), the mean of the classes that occur.

    P are the probabilities of a class at the pixels of the whole batch, T is 1 where it is true.

    Args:
        logits: (B, K, h, w), brought to the target's size bilinearly first.
        target: (B, H, W) integer classes 0 to K-1, or `ignore_index`.
        ignore_index: Pixels of this value count for nothing.

    Returns:
        A scalar from 0 to 1, in float32 or better; 0 when no pixel counts.

    Raises:
        ValueError: A target is neither a class nor `ignore_index`.

    Example:
        >>> logits, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> round(dice_loss(logits, target).item(), 4)  # 1 - 2 * 8 / (8 + 16)
        0.3333
    """
    target = target.long()
    counted = counted_pixels(target, logits.shape[1], ignore_index)
    probabilities = at_full_size(logits, target).softmax(dim=1) * counted[:, None]
    classes = torch.arange(logits.shape[1], device=target.device)
    # A class could have the number that is ignored.
    truth = (target[:, None] == classes[:, None, None]) & counted[:, None]
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    size = truth.sum(dim=(0, 2, 3))
    loss = 1 - 2 * divided(overlap, probabilities.sum(dim=(0, 2, 3)) + size)
    occurs = size > 0
    return divided((loss * occurs).sum(), occurs.sum())
