"""Lovász-softmax: the mean IoU itself, made smooth.

Paper: Berman, Rannen Triki and Blaschko 2018, "The Lovász-Softmax loss", arXiv:1705.08790.
"""

import torch
from torch import Tensor

from atrous.losses.full_size import at_full_size, counted_pixels


def lovasz_softmax(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Return the Lovász extension of 1 - IoU, the mean of the classes that occur in the batch.

    Args:
        logits: (B, K, h, w), brought to the target's size bilinearly first.
        target: (B, H, W) integer classes 0 to K-1, or `ignore_index`.
        ignore_index: Pixels of this value count for nothing.

    Returns:
        A scalar from 0 to 1, in float32 or better; 0 when no pixel counts. Where all probabilities
        are 0 or 1 it is 1 - mIoU.

    Raises:
        ValueError: A target is neither a class nor `ignore_index`.

    Example:
        >>> logits, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> lovasz_softmax(logits, target).item()
        0.5
    """
    target = target.long()
    counted = counted_pixels(target, logits.shape[1], ignore_index)
    probabilities = at_full_size(logits, target).softmax(dim=1)
    maps = probabilities.unbind(dim=1)
    occurring = target[counted].unique().tolist()
    losses = [_of_class(maps[k], target == k, counted) for k in occurring]
    # The empty sum is tied to the logits, so that it has a gradient, of 0.
    return sum(losses, 0 * probabilities.sum()) / max(1, len(losses))


def _of_class(probability: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    # Ignored pixels have no error: they come last, and add nothing.
    errors = ((truth.to(probability) - probability).abs() * counted).flatten()
    order = errors.detach().argsort(descending=True)
    steps = torch.empty_like(errors)
    steps[order] = _jaccard_steps(truth.flatten()[order], errors.dtype)
    return (errors * steps).sum()


def _jaccard_steps(truth: Tensor, dtype: torch.dtype) -> Tensor:
    """Return how much 1 - IoU grows by each pixel, when they go wrong one after the other.

    These are the differences that algorithm 1 takes, each as one fraction: of neighbouring values
    near 1, a million pixels long, float32 would leave nothing.

    Args:
        truth: (N,) booleans, at least one of them true: whether each pixel belongs to the class.
        dtype: Of the result.
    """
    found = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (~truth).cumsum(0)
    union, found = union.to(dtype), found.to(dtype)
    return torch.where(truth, 1 / union, found / (union * (union - 1)))
