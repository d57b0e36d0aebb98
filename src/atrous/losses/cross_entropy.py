"""Cross-entropy on labels at their full size."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from atrous.kernels.upsampled_cross_entropy import (
    Terms,
    pixel_cross_entropies,
    summed_cross_entropy,
)
from atrous.losses.full_size import at_full_size, counted_pixels, divided, label_mass

# Logits at full size below which the plain way takes some 50 milliseconds and 64 MiB at most, and
# with two classes, of which blocks save the least, is the faster one.
_SMALL = 1 << 22


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

    They are brought there in blocks of rows, so their full size never is in memory, and the loss
    can be differentiated once. `plain_upsampled_cross_entropy` serves small problems, logits that
    are as large as the target, and functions that are compiled or transformed by `torch.func`.

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
        ValueError: A target is neither a class nor `ignore_index`, or the images are not as many
            as the targets.

    Example:
        >>> import torch
        >>> logits, target = torch.zeros(1, 4, 2, 2), torch.zeros(1, 8, 8, dtype=torch.uint8)
        >>> round(upsampled_cross_entropy(logits, target).item(), 4)  # log 4
        1.3863
    """
    if len(logits) != len(target):
        raise ValueError(f"a target for each image was expected: {len(logits)}, got {len(target)}")
    if _plain_is_better(logits, target, weight):
        return plain_upsampled_cross_entropy(
            logits, target, weight, ignore_index, label_smoothing=label_smoothing, hardest=hardest
        )
    target = target.long()
    counted = counted_pixels(target, logits.shape[1], ignore_index)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weight is None else weight.to(logits)
    terms = Terms(weight, ignore_index, label_smoothing)
    if hardest < 1:
        losses = pixel_cross_entropies(logits, target, terms)
        target = target.where(_hardest(losses, counted, hardest), ignore_index)
    total = summed_cross_entropy(logits, target, terms)
    return divided(total, label_mass(target, weight, ignore_index))


def plain_upsampled_cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = 255,
    *,
    label_smoothing: float = 0.0,
    hardest: float = 1.0,
) -> Tensor:
    """Return what `upsampled_cross_entropy` does, by way of the logits at their full size.

    Example:
        >>> logits, target = torch.zeros(1, 4, 2, 2), torch.zeros(1, 8, 8, dtype=torch.uint8)
        >>> round(plain_upsampled_cross_entropy(logits, target).item(), 4)  # log 4
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
    chosen = _hardest(losses.detach(), counted, hardest)
    return divided(losses[chosen].sum(), label_mass(target[chosen], weight, ignore_index))


def _hardest(losses: Tensor, counted: Tensor, fraction: float) -> Tensor:
    """Return the pixels (B, H, W) of the highest losses: a fraction of those that count."""
    places = counted.flatten().nonzero()[:, 0]
    hardest = losses.flatten()[places].topk(math.ceil(fraction * len(places)), sorted=False)
    chosen = torch.zeros_like(counted)
    chosen.view(-1)[places[hardest.indices]] = True
    return chosen


def _plain_is_better(logits: Tensor, target: Tensor, weight: Tensor | None) -> bool:
    small = logits.shape[1] * target.numel() < _SMALL
    large = target[0].numel() <= logits[0, 0].numel()  # they are at full size as they come
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    learns = weight is not None and weight.requires_grad  # it says that weights cannot
    return small or large or traced or learns
