"""A learning-rate range test: the loss while the rate grows with every step.

Paper: Smith 2015, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section
3.3.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from atrous.data.order import seed_for_step
from atrous.devices import pick_device
from atrous.errors import DivergedError
from atrous.recipe import Recipe
from atrous.train.batches import batches, open_split
from atrous.train.class_weights import class_weights
from atrous.train.freezing import train_all_but
from atrous.train.network import build_network, enter_stage
from atrous.train.objective import Objective
from atrous.train.optimizer import build_optimizer, set_lr
from atrous.train.processes import refuse_several_processes

_MEMORY = 0.9  # of the running mean, which takes the noise of single batches away
_TOO_FAR = 4.0  # times the lowest loss so far: the rest of the test would teach nothing


class LrCurve(NamedTuple):
    """What a range test has seen.

    Attributes:
        rates: Learning rates of the backbone, growing.
        losses: Running mean of the loss after the step at each.
    """

    rates: list[float]
    losses: list[float]

    @property
    def suggestion(self) -> float:
        """The rate in the middle of that tenth of the curve in which the loss falls most."""
        width = max(1, len(self.rates) // 10)
        falls = [before - after for before, after in zip(self.losses, self.losses[width:])]  # noqa: B905
        return self.rates[falls.index(max(falls)) + width // 2] if falls else self.rates[0]


def find_lr(
    recipe: Recipe,
    *,
    steps: int = 100,
    lowest: float = 1e-6,
    highest: float = 1.0,
    on_step: Callable[[int], object] = lambda step: None,
) -> LrCurve:
    """Take the first steps of a training at growing rates; nothing is kept of it.

    It is computed in float32, with the batches of the recipe and without accumulating them.

    Args:
        recipe: The training.
        steps: At most so many; it ends where the loss has run away.
        lowest: The first rate.
        highest: The last one.
        on_step: Called with the number of steps taken, after each.

    Raises:
        UsageError: torchrun started several processes.
        DataError: The data set is not what it should be.
        DivergedError: The loss is not a finite number from the first step on.
    """
    refuse_several_processes("a learning-rate test")
    rates = [lowest * (highest / lowest) ** (step / max(1, steps - 1)) for step in range(steps)]
    curve, mean = LrCurve([], []), 0.0
    for number, (rate, loss) in enumerate(zip(rates, _losses(recipe, rates), strict=False), 1):
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        smooth = mean / (1 - _MEMORY**number)  # without the pull of the 0 that it began with
        if not math.isfinite(smooth) or smooth > _TOO_FAR * min(curve.losses, default=smooth):
            break
        curve.rates.append(rate)
        curve.losses.append(smooth)
        on_step(number)
    if not curve.rates:
        raise DivergedError(f"the loss is not finite at optim.lr={lowest:g} already")
    return curve


def _losses(recipe: Recipe, rates: list[float]) -> Iterator[float]:
    """Yield the loss of one batch after the other, each of which is learnt from at its rate."""
    device, data = pick_device(recipe.train.device), recipe.data
    dataset = open_split(data, data.train_split)
    weights = class_weights(recipe.train.class_weights, dataset)
    objective = Objective(recipe.loss, None if weights is None else weights.to(device))
    torch.manual_seed(recipe.train.seed)
    model = build_network(recipe, dataset, device)
    frozen = enter_stage(model, recipe, device, second=False)
    optimizer = build_optimizer(model, recipe.optim)
    stream = batches(dataset, data, recipe.train, first_step=0, total_steps=len(rates))
    for step, (images, labels) in enumerate(stream):
        set_lr(optimizer, rates[step] / recipe.optim.lr)
        torch.manual_seed(seed_for_step(recipe.train.seed, step))
        train_all_but(frozen, model)
        inputs = model.preprocessing(images.to(device, memory_format=torch.channels_last))
        logits, auxiliary = model.coarse_logits_and_auxiliary(inputs)
        loss = objective(logits, auxiliary, labels.to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()
