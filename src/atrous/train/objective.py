"""The loss of a recipe: which losses, how much of each, and how much of the auxiliary head."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from atrous.losses import dice_loss, focal_loss, lovasz_softmax, upsampled_cross_entropy
from atrous.losses.full_size import at_full_size, label_mass
from atrous.recipe import LossSection
from atrous.train.processes import ALONE, World


class Objective:
    """A sum of losses, each times its weight, on labels at their full size.

    Args:
        section: The weights and options of the losses.
        class_weights: (K,) weight of each class in cross-entropy and focal loss, on the device of
            the logits; by default all 1. Dice and Lovász count each class alike as it is.

    Example:
        >>> objective = Objective(LossSection(cross_entropy=1, dice=0.5))
        >>> labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> round(objective(torch.zeros(1, 2, 2, 2), None, labels).item(), 4)  # log 2 + 0.5 / 3
        0.8598
    """

    def __init__(self, section: LossSection, class_weights: Tensor | None = None) -> None:
        self.class_weights, self.aux_weight = class_weights, section.aux_weight
        cross_entropy = partial(
            upsampled_cross_entropy,
            weight=class_weights,
            label_smoothing=section.label_smoothing,
            hardest=section.ohem_fraction,
        )
        focal = partial(focal_loss, weight=class_weights, gamma=section.focal_gamma)
        losses = (
            (section.cross_entropy, cross_entropy),
            (section.dice, dice_loss),
            (section.lovasz, lovasz_softmax),
            (section.focal, focal),
        )
        self._losses = [(weight, loss) for weight, loss in losses if weight > 0]

    def __call__(self, logits: Tensor, auxiliary: Tensor | None, labels: Tensor) -> Tensor:
        """Return the loss, a scalar in float32 or better.

        Args:
            logits: (B, K, h, w).
            auxiliary: (B, K, h', w'), those of the auxiliary head, or None.
            labels: (B, H, W) integer classes, 255 where a pixel is ignored.

        Raises:
            ValueError: A label is neither a class nor 255.
        """
        loss = self._sum(logits, labels)
        if auxiliary is None:
            return loss
        return loss + self.aux_weight * self._sum(auxiliary, labels)

    def shares(self, batches: Sequence[Tensor], world: World = ALONE) -> list[float]:
        """Return what part of a mean over several batches each of them has, given its labels.

        With these, the gradients of small batches add up to that of a big one, for losses that are
        means over pixels. The mean is over the batches of all processes.
        """
        if len(batches) * world.size == 1:
            return [1.0]
        weights = None if self.class_weights is None else self.class_weights.to(batches[0].device)
        masses = [label_mass(labels, weights).item() for labels in batches]
        total = (
            world.sum(torch.tensor(sum(masses), dtype=torch.float64)).item() or 1.0
        )  # where nothing counts, all losses are 0
        return [mass / total for mass in masses]

    def _sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        if len(self._losses) > 1:
            logits = at_full_size(logits, labels)  # once for all
        return torch.stack([weight * loss(logits, labels) for weight, loss in self._losses]).sum()
