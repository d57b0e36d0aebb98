"""Steps whose loss or gradient is no finite number are left out; three in a row end a training."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrous.data import Dataset
from atrous.data.order import sample_at
from atrous.errors import DivergedError
from atrous.recipe import TrainSection

_TOO_MANY = 3  # in a row
_MOST_NAMES = 16


class FiniteSteps:
    """Watches the steps of a training.

    The answer is read in each step, before the weights follow. A GPU then idles while the optimiser
    is being launched; to go on at once and take a bad step back later, all weights and moments
    would have to be kept twice.

    Args:
        model: The network; what its norms learn from a step that is left out is forgotten too.
        in_a_row: How many steps just before were left out.

    Attributes:
        in_a_row: How many steps were left out since the last good one.
        in_all: How many steps were left out.
    """

    def __init__(self, model: nn.Module, in_a_row: int = 0) -> None:
        self.in_a_row, self.in_all = in_a_row, 0
        self._model = model
        self._before: list[Tensor] = []

    @property
    def state(self) -> dict[str, int]:
        """What a checkpoint holds of it."""
        return {"steps_left_out": self.in_a_row, "steps_left_out_in_all": self.in_all}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on from what a checkpoint holds; older ones do not know how many there were in all."""
        self.in_a_row = state["steps_left_out"]
        self.in_all = state.get("steps_left_out_in_all", 0)

    def begin(self) -> None:
        """Keep what a forward pass changes; call it before one."""
        buffers = list(self._model.buffers())
        if not self._before:
            self._before = [buffer.clone() for buffer in buffers]
        elif buffers:
            torch._foreach_copy_(self._before, buffers)  # pyright: ignore[reportPrivateImportUsage]

    def accept(self, loss: Tensor) -> bool:
        """Return whether `loss` and all gradients are finite; take the forward pass back if not."""
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
        if torch.isfinite(loss + nn.utils.get_total_norm(gradients)):
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        self.in_all += 1
        with torch.no_grad():
            for buffer, before in zip(self._model.buffers(), self._before, strict=True):
                buffer.copy_(before)
        return False

    def left_out(self, loss: Tensor, step: int, dataset: Dataset, settings: TrainSection) -> str:
        """Say that a step was left out.

        Args:
            loss: Of this step.
            step: How many there were before it.
            dataset: What it was taken on.
            settings: How its images were drawn.

        Raises:
            DivergedError: It was the third in a row.
        """
        wrong = _what_is_wrong(loss)
        if self.in_a_row < _TOO_MANY:
            return f"step {step + 1} was left out: {wrong} ({self.in_all} in all)"
        images = images_of_step(dataset, step, settings)
        raise DivergedError(
            f"{wrong} at step {step + 1}, the third in a row, on {images}; no step of these was "
            "followed; look at these images, or begin another run with a lower optim.lr, with "
            "optim.warmup_steps=500, optim.clip_norm=1 or train.precision=fp32"
        )


def images_of_step(dataset: Dataset, step: int, settings: TrainSection) -> str:
    """Return the names of the samples that the step after `step` others learns from."""
    each = settings.batch_size * settings.accumulate_steps
    positions = range(step * each, (step + 1) * each)
    names = []
    for position in positions[:_MOST_NAMES]:
        _, index = sample_at(position, len(dataset), seed=settings.seed)
        names.append(dataset[index].name)
    return ", ".join(names) + (", ..." if len(positions) > _MOST_NAMES else "")


def _what_is_wrong(loss: Tensor) -> str:
    return "a gradient is infinite" if loss.isfinite() else f"the loss became {loss.item()}"
