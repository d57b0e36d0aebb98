"""The optimiser: learning rates of backbone, head and biases, and no decay of what only scales."""

from collections.abc import Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from atrous.models import SegmentationModel
from atrous.recipe import OptimSection


def build_optimizer(model: SegmentationModel, recipe: OptimSection) -> Optimizer:
    """Return the optimiser of a recipe for all parameters of `model`.

    Each group carries its highest learning rate as `highest_lr`. Biases and the parameters of
    norms are not decayed. On CPUs and CUDA a step goes through each weight once, by torch's fused
    kernels, where the others go through it six times.
    """
    groups = [
        {
            "params": parameters,
            "lr": lr,
            "highest_lr": lr,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (_, decays, lr), parameters in _groups(model, recipe).items()
    ]
    fused = all(p.device.type in {"cpu", "cuda"} for p in model.parameters())
    if recipe.name == "sgd":
        return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=fused)
    return AdamW(groups, lr=recipe.lr, fused=fused)


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Set each group's rate to `factor` of its highest, and return that of the backbone."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest_lr"] * factor
    return optimizer.param_groups[0]["lr"]


def _groups(
    model: SegmentationModel, recipe: OptimSection
) -> dict[tuple[bool, bool, float], list[nn.Parameter]]:
    """Return the parameters by (in the head, decays, learning rate), the backbone's first."""
    heads = _last_layers(model) if recipe.head == "last_layer" else _outside_backbone(model)
    head = {id(parameter) for module in heads for parameter in module.parameters(recurse=False)}
    biases = {id(m.bias) for m in model.modules() if isinstance(m, nn.Conv2d)}
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        in_head = id(parameter) in head
        lr = recipe.lr * (recipe.head_lr_multiplier if in_head else 1.0)
        lr *= recipe.bias_lr_multiplier if id(parameter) in biases else 1.0
        groups.setdefault((in_head, parameter.ndim > 1, lr), []).append(parameter)
    return groups


def _outside_backbone(model: SegmentationModel) -> Iterator[nn.Module]:
    inside = set(model.backbone.modules())
    return (module for module in model.modules() if module not in inside)


def _last_layers(model: SegmentationModel) -> Iterator[nn.Module]:
    """Yield the convolutions that give logits: one, or one for each rate of v2."""
    for module in _outside_backbone(model):
        if isinstance(module, nn.Conv2d) and module.out_channels == model.blueprint.num_classes:
            yield module
