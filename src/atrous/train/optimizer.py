"""The optimiser: two learning rates, and no decay where it would only shrink a scale."""

from collections.abc import Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from atrous.models import SegmentationModel
from atrous.recipe import OptimSection


def build_optimizer(model: SegmentationModel, recipe: OptimSection) -> Optimizer:
    """Return the optimiser of a recipe for all parameters of `model`.

    Each group carries its highest learning rate as `highest_lr`. Biases and the parameters of
    norms are not decayed.
    """
    groups = [
        {"params": parameters, "lr": lr, "highest_lr": lr, "weight_decay": decay}
        for lr, decay, parameters in _groups(model, recipe)
        if parameters
    ]
    if recipe.name == "sgd":
        return SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
    return AdamW(groups, lr=recipe.lr)


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Set each group's rate to `factor` of its highest, and return that of the backbone."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest_lr"] * factor
    return optimizer.param_groups[0]["lr"]


def _groups(
    model: SegmentationModel, recipe: OptimSection
) -> Iterator[tuple[float, float, list[nn.Parameter]]]:
    in_backbone = {id(p) for p in model.backbone.parameters()}
    backbone = [p for p in model.parameters() if id(p) in in_backbone]
    head = [p for p in model.parameters() if id(p) not in in_backbone]
    for parameters, factor in ((backbone, 1.0), (head, recipe.head_lr_multiplier)):
        lr = recipe.lr * factor
        yield lr, recipe.weight_decay, [p for p in parameters if p.ndim > 1]
        yield lr, 0.0, [p for p in parameters if p.ndim <= 1]
