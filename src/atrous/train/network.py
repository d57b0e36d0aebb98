"""The network that a recipe asks for, ready to be trained, and its change to the second stage."""

from collections.abc import Callable

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from atrous.data import Dataset
from atrous.models import SegmentationModel, create_model
from atrous.recipe import Recipe
from atrous.train.freezing import freeze
from atrous.train.precision import speed_up_depthwise
from atrous.train.processes import World
from atrous.weights.fine_tuning import start_from


def build_network(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    *,
    say: Callable[[str], object] = lambda text: None,
) -> SegmentationModel:
    """Return the network of a recipe for the classes of a data set.

    Args:
        recipe: Says what it is, or what weights it starts from.
        dataset: Has the classes.
        device: Where it is to be trained.
        say: Told which classes keep what was learnt, where it starts from weights.

    Raises:
        UsageError: It cannot be built, or not be held at the output stride of the second stage.
        DataError: The weights cannot be had or read.
    """
    if recipe.train.weights:
        model, change = start_from(recipe.train.weights, dataset.classes, dataset.palette)
        say(f"starts from {recipe.train.weights}; its classes:\n{change}")
    else:
        model = create_model(
            recipe.model.architecture,
            classes=dataset.classes,
            palette=dataset.palette,
            **recipe.model.model_dump(exclude={"architecture"}),
        )
    if recipe.train.second_stage is not None:
        stride = model.output_stride
        model.set_output_stride(recipe.train.second_stage.output_stride)  # or raise now, not then
        model.set_output_stride(stride)
    if recipe.train.batch_norm_momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = recipe.train.batch_norm_momentum
    model.to(device).to(memory_format=torch.channels_last)
    speed_up_depthwise(model, device)
    return model


def join_norms(
    model: SegmentationModel,
    recipe: Recipe,
    device: torch.device,
    world: World,
    *,
    say: Callable[[str], object] = lambda text: None,
) -> None:
    """Let batch norms see the whole batch of several processes, where that can be: on GPUs.

    Args:
        model: The network.
        recipe: Says whether batch norms learn at all.
        device: Where it is trained.
        world: Who trains along.
        say: Told in one line where each process normalises its own part.
    """
    if world.size == 1 or recipe.train.freeze_batch_norm:
        return
    if device.type == "cuda":
        convert_sync_batchnorm(model)
        return
    part = world.part_of(recipe.train.batch_size)
    say(
        f"each of the {world.size} processes has batch norms of its own, which see {part} of "
        f"{recipe.train.batch_size} images; only GPUs share them (train.freeze_batch_norm=true "
        "leaves them out)"
    )


def enter_stage(
    model: SegmentationModel, recipe: Recipe, device: torch.device, *, second: bool
) -> list[nn.Module]:
    """Make the network what it is in the first or second stage, and return its frozen layers."""
    settings, stage = recipe.train, recipe.train.second_stage if second else None
    if stage is not None:
        model.set_output_stride(stage.output_stride)
        speed_up_depthwise(model, device)
    batch_norm = settings.freeze_batch_norm or (stage is not None and stage.freeze_batch_norm)
    return freeze(model, settings.freeze, batch_norm=batch_norm)
