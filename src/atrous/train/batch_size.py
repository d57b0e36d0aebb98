"""The largest batches that fit in memory, with as many of them to a step as the recipe wants.

The step keeps its number of images, and with it the learning rate its meaning; only a batch norm
sees fewer at a time.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from atrous.data import open_dataset
from atrous.devices import pick_device
from atrous.errors import ResourceError
from atrous.recipe import Recipe
from atrous.train.network import build_network, enter_stage
from atrous.train.objective import Objective
from atrous.train.precision import fabric_precision
from atrous.train.processes import ALONE, World

# Of four networks measured, each took at most 1.3 times what is saved for the backward pass, and
# less than four times its weights: their gradients, two moments, and one copy.
_WORKSPACE = 1.3
_COPIES_OF_WEIGHTS = 4


def fit_batch_size(
    recipe: Recipe,
    *,
    world: World = ALONE,
    free: int | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Recipe:
    """Return the recipe with batches that fit in memory, if it asks for that.

    Args:
        recipe: Where `train.find_batch_size` is set, `train.batch_size` is how many images make a
            step; the batches come as large as fit, and divide it.
        world: The processes, each of which takes its part of every batch.
        free: Bytes that such a part may take; by default 9 tenths of what the device has free, of
            which on a CPU all processes of the machine have their shares.
        say: Told what was chosen.

    Raises:
        ResourceError: Not even one image fits.
        UsageError: The processes cannot have equal parts of a batch.
        DataError: The data set is not what it should be.
    """
    train = recipe.train
    if not train.find_batch_size:
        return recipe
    device = pick_device(train.device)
    if free is None:
        users = world.local_size if device.type == "cpu" else 1
        free = int(0.9 * free_memory(device)) // users
    weights, image = _step_bytes(recipe, device)
    wanted = world.part_of(train.batch_size)
    fitting = [n for n in range(1, wanted + 1) if wanted % n == 0 and weights + n * image <= free]
    if not fitting:
        raise ResourceError(
            f"memory: {free / 1e6:,.0f} MB are free, and one training image needs "
            f"{(weights + image) / 1e6:,.0f} MB; lower data.crop_size, or choose a smaller backbone"
        )
    part, steps = fitting[-1], train.accumulate_steps * wanted // fitting[-1]
    size = part * world.size
    say(
        f"train.batch_size={size} and train.accumulate_steps={steps}: a batch needs about "
        f"{(weights + part * image) / 1e6:,.0f} MB of {free / 1e6:,.0f} MB"
    )
    found = {"batch_size": size, "accumulate_steps": steps, "find_batch_size": False}
    return recipe.model_copy(update={"train": train.model_copy(update=found)})


def free_memory(device: torch.device) -> int:
    """Return how many bytes of memory can be had on a device.

    Example:
        >>> free_memory(torch.device("cpu")) > 0
        True
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_of_machine(), _free_of_container())


def _free_of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):  # not Linux: half of all there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_of_container(root: Path = Path("/sys/fs/cgroup")) -> int:
    try:
        most, used = (
            (root / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
    except OSError:
        return sys.maxsize
    return sys.maxsize if most == "max" else int(most) - int(used)


def _step_bytes(recipe: Recipe, device: torch.device) -> tuple[int, int]:
    """Return about how many bytes a step takes: whatever the batch, and for each image."""
    data = recipe.data
    dataset = open_dataset(
        data.source, data.train_split, classes=data.classes, ignore=data.ignore, size=data.size
    )
    height, width = data.crop_size or dataset[0].image.shape[:2]
    # Whether there are ImageNet weights in it does not matter here.
    model = recipe.model.model_copy(update={"pretrained_backbone": False})
    model = build_network(recipe.model_copy(update={"model": model}), dataset, device)
    enter_stage(model, recipe, device, second=recipe.train.second_stage is not None)
    model.train()
    images = torch.zeros(1, 3, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(1, height, width, dtype=torch.uint8, device=device)
    saved: dict[int, int] = {}
    standing = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in standing:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    bf16 = fabric_precision(recipe.train.precision, device) == "bf16-mixed"
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits, auxiliary = model.coarse_logits_and_auxiliary(images)
        loss = Objective(recipe.loss)(logits, auxiliary, labels)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    del loss  # it keeps all that was saved
    return _COPIES_OF_WEIGHTS * weights, int(_WORKSPACE * sum(saved.values()))
