"""Cross-entropy on labels at their full size."""

import math

from torch import Tensor
from torch.nn import functional as F

from atrous.losses.full_size import at_full_size, counted_pixels, divided, label_mass


def upsampled_cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = 255,
    *,
    label_smoothing: float = 0.0,
    hardest: float = 1.0,
) -> Tensor:
    """Return the cross-entropy of logits that are first brought to the target's size bilinearly.

    Args:
        logits: (B, K, h, w), for K classes on any grid.
        target: (B, H, W) integer classes 0 to K-1, or `ignore_index`.
        weight: (K,) weight of each class; by default all 1.
        ignore_index: Pixels of this value count for nothing.
        label_smoothing: Share of the truth that is spread evenly over all classes (Szegedy et al.
            2015, arXiv:1512.00567, section 7).
        hardest: Fraction of the pixels that counts, those of the highest weighted loss in the
            batch (Shrivastava et al. 2016, arXiv:1604.03540); 1 takes all.

    Returns:
        A scalar, in float32 or better: the weighted mean over the pixels that count; 0 when none
        does.

    Raises:
        ValueError: A target is neither a class nor `ignore_index`.

    Example:
        >>> import torch
        >>> logits, target = torch.zeros(1, 4, 2, 2), torch.zeros(1, 8, 8, dtype=torch.uint8)
        >>> round(upsampled_cross_entropy(logits, target).item(), 4)  # log 4
        1.3863
    """
    target = target.long()
    counted = counted_pixels(target, logits.shape[1], ignore_index)
    logits = at_full_size(logits, target)
    weight = None if weight is None else weight.to(logits)
    losses = F.cross_entropy(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction="sum" if hardest == 1 else "none",
        label_smoothing=label_smoothing,
    )
    if hardest == 1:
        return divided(losses, label_mass(target, weight, ignore_index))
    losses, labels = losses[counted], target[counted]
    losses, chosen = losses.topk(math.ceil(hardest * len(losses)), sorted=False)
    return divided(losses.sum(), label_mass(labels[chosen], weight, ignore_index))
