"""Layers that do not learn: their weights stay, and they compute as in evaluation."""

import difflib
from collections.abc import Sequence

from torch import nn

from atrous.errors import RecipeError
from atrous.models import SegmentationModel


def freeze(
    model: SegmentationModel, names: Sequence[str] = (), *, batch_norm: bool = False
) -> list[nn.Module]:
    """Stop layers of `model` from learning, and return them for `train_all_but`.

    Args:
        model: The network.
        names: Modules by their names, such as `backbone`; those inside of the backbone's network
            by the end of it alone, such as `layer1`.
        batch_norm: Freeze all batch norms too, as the second stage in Chen et al. 2017,
            arXiv:1706.05587, section 4.1 does.

    Raises:
        RecipeError: There is no such layer, or nothing is left to learn.
    """
    frozen = [_layer(model, name) for name in names]
    if batch_norm:
        kinds = (nn.BatchNorm2d, nn.SyncBatchNorm)
        frozen += [module for module in model.modules() if isinstance(module, kinds)]
    for layer in frozen:
        layer.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise RecipeError("train.freeze: nothing is left to learn; leave out a layer")
    return frozen


def train_all_but(frozen: Sequence[nn.Module], model: nn.Module) -> None:
    """Set `model` to training, but for its frozen layers, whose statistics stay then too."""
    model.train()
    for layer in frozen:
        layer.eval()


def _layer(model: SegmentationModel, name: str) -> nn.Module:
    layers = {known: module for known, module in model.named_modules() if known}
    inside = model.backbone.network
    stages = dict(inside.named_modules())
    if name in layers:
        return layers[name]
    if name and name in stages:
        return stages[name]
    tops = [child for child, _ in (*model.named_children(), *inside.named_children())]
    near = difflib.get_close_matches(name, tops, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use {', '.join(tops)}"
    raise RecipeError(f"train.freeze: the network has no layer {name!r}; {hint}")
