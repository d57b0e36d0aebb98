"""What is due at which step: arithmetic on the recipe and the number of training images."""

import math

from atrous.recipe import Recipe
from atrous.train.schedule import lr_factor


class Timetable:
    """The steps of a training. A step has the number of steps that were taken before it.

    Args:
        recipe: How long, how often, in one stage or two.
        images: Training images in one epoch.

    Attributes:
        steps_per_epoch: Steps that make one pass over the training images, a fraction too.
        total_steps: Steps of the whole training.
        second_stage_from: The first step of the second stage; None without one.
    """

    def __init__(self, recipe: Recipe, images: int) -> None:
        self._optim, self._train = recipe.optim, recipe.train
        self.steps_per_epoch = images / (recipe.train.batch_size * recipe.train.accumulate_steps)
        self.total_steps = recipe.train.max_steps or max(
            1, math.ceil((recipe.train.epochs or 0) * self.steps_per_epoch)
        )
        self._validate_every = max(1, round(recipe.train.validate_every * self.steps_per_epoch))
        stage = recipe.train.second_stage
        self.second_stage_from = stage and round(stage.from_fraction * self.total_steps)

    def is_in_second_stage(self, step: int) -> bool:
        """Return whether `step` belongs to the second stage."""
        return self.second_stage_from is not None and step >= self.second_stage_from

    def lr_factor(self, step: int) -> float:
        """Return what the highest learning rates are multiplied by; each stage has its schedule."""
        optim, stage, start = self._optim, self._train.second_stage, self.second_stage_from
        first, end, warmup, height = 0, self.total_steps, optim.warmup_steps, 1.0
        if stage is not None and start is not None:
            if self.is_in_second_stage(step):
                first, warmup, height = start, 0, stage.lr / optim.lr if stage.lr else 1 / 7
            else:
                end = start
        return height * lr_factor(
            step - first,
            end - first,
            schedule=optim.schedule,
            power=optim.power,
            step_size=optim.step_size,
            gamma=optim.gamma,
            warmup_steps=warmup,
        )

    def validation_is_due(self, step: int) -> bool:
        """Return whether the weights before `step` are to be judged."""
        return step > 0 and (step % self._validate_every == 0 or step == self.total_steps)

    def checkpoint_is_due(self, step: int) -> bool:
        """Return whether the state before `step` is to be saved."""
        return step % self._train.checkpoint_every == 0 or self.validation_is_due(step)

    def patience_is_over(self, step: int, best_step: int) -> bool:
        """Return whether the validation before `step` was the last that `train.patience` waits for.

        What came before the second stage does not count, so that no second stage is left out.
        """
        if self._train.patience is None or not self.validation_is_due(step):
            return False
        waited = step - max(best_step, self.second_stage_from or 0)
        return waited >= self._train.patience * self._validate_every
