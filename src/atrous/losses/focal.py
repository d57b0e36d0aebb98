"""Focal loss: cross-entropy that turns from what is easy.

Paper: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 3.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from atrous.losses.full_size import at_full_size, counted_pixels, divided, label_mass


def focal_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = 255,
    *,
    gamma: float = 2.0,
) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p, for p the probability of a pixel's true class.

    Args:
        logits: (B, K, h, w), brought to the target's size bilinearly first.
        target: (B, H, W) integer classes 0 to K-1, or `ignore_index`.
        weight: (K,) weight of each class, the paper's alpha; by default all 1.
        ignore_index: Pixels of this value count for nothing.
        gamma: How far easy pixels are left behind; with 0 this is the cross-entropy.

    Returns:
        A scalar, in float32 or better: the weighted mean over the pixels that count; 0 when none
        does.

    Raises:
        ValueError: A target is neither a class nor `ignore_index`.

    Example:
        >>> logits, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> round(focal_loss(logits, target).item(), 4)  # log 2 / 4
        0.1733
    """
    target = target.long()
    counted = counted_pixels(target, logits.shape[1], ignore_index)
    logits = at_full_size(logits, target)
    weight = None if weight is None else weight.to(logits)
    truth = target.where(counted, 0)
    log_p = F.log_softmax(logits, dim=1).gather(1, truth[:, None])[:, 0]
    # The slope of x^gamma has no end at 0 for a gamma below 1; the clamp holds it at 0 there.
    easy = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny) ** gamma
    share = counted if weight is None else counted * weight[truth]
    return divided(-(share * easy * log_p).sum(), label_mass(target, weight, ignore_index))
