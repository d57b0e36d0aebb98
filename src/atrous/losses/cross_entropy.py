"""Cross-entropy on labels at their full size.

Shrinking the labels to the logits' grid instead loses the small objects: 77.21 against 76.01 mIoU
in Chen et al. 2017, arXiv:1706.05587, table 8.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def upsampled_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = 255
) -> Tensor:
    """Return the cross-entropy of logits that are first brought to the target's size bilinearly.

    Args:
        logits: (B, K, h, w), for K classes on any grid.
        target: (B, H, W) integer classes 0 to K-1, or `ignore_index`.
        weight: (K,) weight of each class; by default all 1.
        ignore_index: Pixels of this value count for nothing.

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
    counted = target != ignore_index
    if ((target < 0) | (target >= logits.shape[1])).logical_and(counted).any():
        raise ValueError(
            f"target has labels outside 0..{logits.shape[1] - 1} and ignore_index {ignore_index}: "
            f"{sorted(set(target.unique().tolist()) - {*range(logits.shape[1]), ignore_index})}"
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weight is None else weight.to(logits)
    logits = F.interpolate(logits, size=target.shape[-2:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(
        logits, target, weight=weight, ignore_index=ignore_index, reduction="sum"
    )
    mass = counted.sum() if weight is None else weight[target[counted]].sum()
    # With nothing to count, total is 0, and 0 over a tiny number is 0 rather than NaN.
    return total / mass.clamp(min=1e-12)
