"""The training loop: draw, step, save, validate, from step 0 or from where a run stood.

Everything random is a function of the seed and the step (the order of samples, their augmentation,
dropout), so a run that was stopped and resumed ends with the weights of one that was not.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrous.data import Dataset, open_dataset
from atrous.data.order import seed_for_step
from atrous.devices import pick_device
from atrous.errors import MissingExtraError
from atrous.evaluate import Evaluation
from atrous.recipe import DataSection, Recipe
from atrous.train.batches import batches
from atrous.train.checkpoint import Checkpoint, restore_moments, save_checkpoint
from atrous.train.class_weights import class_weights
from atrous.train.disk import checkpoint_bytes
from atrous.train.ema import AveragedWeights
from atrous.train.finite_steps import TOO_MANY, FiniteSteps, explain_divergence, images_at
from atrous.train.freezing import train_all_but
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog
from atrous.train.network import build_network, enter_stage
from atrous.train.objective import Objective
from atrous.train.optimizer import build_optimizer, set_lr
from atrous.train.precision import fabric_precision
from atrous.train.progress import Progress
from atrous.train.run_directory import BEST, CHECKPOINTS, PREVIEWS
from atrous.train.same_recipe import surroundings
from atrous.train.timetable import Timetable
from atrous.train.validation import row, validate
from atrous.weights import save_model
from atrous.weights.model_file import STORAGE

Batch = tuple[Tensor, Tensor]

_REPORT_EVERY = 10  # steps; reading the loss makes a GPU wait
# What a checkpoint holds of a training beside weights and moments.
_STANDING = ("validated_step", "best_score", "best_step", "seconds")


class Training:
    """One training: its network, its data, and where it stands.

    Attributes:
        step: Steps taken so far.
        timetable: Steps of the whole training, and what is due at which.
        best_score: Highest validation mIoU so far, and `best_step` where it was reached.
        seconds: Time spent so far, by killed and resumed processes too up to their checkpoints.
    """

    def __init__(self, recipe: Recipe, folder: Path, progress: Progress) -> None:
        self.recipe, self.folder, self.progress = recipe, folder, progress
        self.device = pick_device(recipe.train.device)
        self.train_set = _open(recipe.data, recipe.data.train_split)
        self.val_set = _open(recipe.data, recipe.data.val_split)
        self.timetable = Timetable(recipe, len(self.train_set))
        weights = class_weights(recipe.train.class_weights, self.train_set)
        weights = None if weights is None else weights.to(self.device)
        self.objective = Objective(recipe.loss, weights)
        torch.manual_seed(recipe.train.seed)
        self.model = build_network(recipe, self.train_set, self.device, say=progress.note)
        self.frozen = enter_stage(self.model, recipe, self.device, second=False)
        self.optimizer = build_optimizer(self.model, recipe.optim)
        decay = recipe.train.ema_decay
        self.average = None if decay is None else AveragedWeights(self.model, decay)
        self.step, self.validated_step = 0, 0
        self.best_score, self.best_step = -1.0, 0
        self.seconds = 0.0
        self.finite_steps = FiniteSteps(self.model)
        self._losses: list[Tensor] = []

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The data sets by their splits."""
        data = self.recipe.data
        return {data.train_split: self.train_set, data.val_split: self.val_set}

    @property
    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint is."""
        average = self.average is not None
        return checkpoint_bytes(self.model, optimizer=self.recipe.optim.name, average=average)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where `checkpoint` was saved."""
        self.model.load_state_dict(checkpoint.model)
        restore_moments(self.optimizer, checkpoint.optimizer)
        if self.average is not None and checkpoint.average is not None:
            self.average.load(checkpoint.average)
        self.step = checkpoint.step
        for name in _STANDING:
            setattr(self, name, checkpoint.state[name])
        self.finite_steps.in_a_row = checkpoint.state["steps_left_out"]
        self._losses = list(torch.tensor(checkpoint.state["losses"], device=self.device))
        if self.timetable.is_in_second_stage(self.step - 1):
            self._begin_second_stage()

    def run(self, interruption: Interruption) -> None:
        """Take the steps that are left, save and validate on the way; stop when asked to."""
        with closing(MetricsLog(self.folder, last_step=self.step)) as self.log:
            self._run(interruption)

    def _run(self, interruption: Interruption) -> None:
        self.fabric, self.network, self.fabric_optimizer = self._set_up_fabric()
        self._clock = self._saved_at = time.monotonic()
        timetable, batches = self.timetable, self._batches()
        with self.progress.training(self.step, timetable.total_steps, timetable.steps_per_epoch):
            self._validate_if_due(interruption)  # a run can be killed while it validates
            while interruption.signal is None and not self._is_over():
                self._take_step([next(batches) for _ in range(self.recipe.train.accumulate_steps)])
                if self._checkpoint_is_due() or interruption.signal is not None:
                    self._save()
                self._validate_if_due(interruption)

    def _is_over(self) -> bool:
        if self.step == self.timetable.total_steps:
            return True
        is_over = self.timetable.patience_is_over(self.step, self.best_step)
        if is_over:
            self.progress.note(
                f"the training ends at step {self.step} of {self.timetable.total_steps}: no "
                f"validation of the last {self.recipe.train.patience} was better than at step "
                f"{self.best_step} (train.patience)"
            )
        return is_over

    def _begin_second_stage(self) -> None:
        self.frozen = enter_stage(self.model, self.recipe, self.device, second=True)
        self.progress.note(f"second stage: output stride {self.model.output_stride} from here on")

    def _set_up_fabric(self) -> tuple[Any, Any, Any]:
        try:
            from lightning.fabric import Fabric
        except ImportError as error:
            raise MissingExtraError("lightning", "train") from error
        fabric = Fabric(
            accelerator=self.device.type,
            devices=1 if self.device.index is None else [self.device.index],
            precision=fabric_precision(self.recipe.train.precision, self.device),  # pyright: ignore[reportArgumentType]
        )
        network, optimizer = fabric.setup(self.model, self.optimizer)
        network.mark_forward_method("coarse_logits_and_auxiliary")
        return fabric, network, optimizer

    def _batches(self) -> Iterator[Batch]:
        """Return the batches of the steps that are left."""
        each = self.recipe.train.accumulate_steps
        return batches(
            self.train_set,
            self.recipe.data,
            self.recipe.train,
            first_step=self.step * each,
            total_steps=self.timetable.total_steps * each,
            pin_memory=self.device.type == "cuda",
        )

    def _take_step(self, batches: Sequence[Batch]) -> None:
        if self.step == self.timetable.second_stage_from:
            self._begin_second_stage()
        lr = set_lr(self.optimizer, self.timetable.lr_factor(self.step))
        torch.manual_seed(seed_for_step(self.recipe.train.seed, self.step))
        train_all_but(self.frozen, self.model)
        shares = self.objective.shares([labels for _, labels in batches])
        self.finite_steps.begin()
        losses = [self._learn(*batch, share) for batch, share in zip(batches, shares, strict=True)]
        loss = torch.stack(losses).sum()
        if self.finite_steps.accept(loss):
            self._follow_gradients()
            self._losses.append(loss)
        elif self.finite_steps.in_a_row == TOO_MANY:
            raise explain_divergence(loss, self.step + 1, self._images_of_step())
        self.fabric_optimizer.zero_grad()
        self.step += 1
        self.progress.step(self.step)
        if self.step % _REPORT_EVERY == 0 or self.step == self.timetable.total_steps:
            self._report(lr)

    def _follow_gradients(self) -> None:
        if self.recipe.optim.clip_norm is not None:
            self.fabric.clip_gradients(
                self.network, self.fabric_optimizer, max_norm=self.recipe.optim.clip_norm
            )
        self.fabric_optimizer.step()
        if self.average is not None:
            self.average.update(self.model, self.step + 1)

    def _images_of_step(self) -> str:
        each = self.recipe.train.batch_size * self.recipe.train.accumulate_steps
        drawn = range(self.step * each, (self.step + 1) * each)
        return images_at(self.train_set, drawn, seed=self.recipe.train.seed)

    def _learn(self, images: Tensor, labels: Tensor, share: float) -> Tensor:
        """Add the gradients of one batch, and return its part of the step's loss."""
        # The weights are channels_last; other inputs would be laid out anew in each convolution.
        images = images.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        images = self.model.preprocessing(images)
        with self.fabric.autocast():
            logits, auxiliary = self.network.coarse_logits_and_auxiliary(images)
        loss = share * self.objective(logits, auxiliary, labels.to(self.device))
        self.fabric.backward(loss)
        return loss.detach()

    def _report(self, lr: float) -> None:
        """Put the mean loss since the last report on screen and into the log."""
        if not self._losses:
            return  # none of the steps was followed
        loss = torch.stack(self._losses).mean().item()
        now = time.monotonic()
        seconds, self._clock = now - self._clock, now
        self.seconds += seconds
        settings = self.recipe.train
        speed = len(self._losses) * settings.batch_size * settings.accumulate_steps / seconds
        epoch = round(self.step / self.timetable.steps_per_epoch, 3)
        self._losses.clear()
        self.log.add(self.step, {"epoch": epoch, "loss": loss, "lr": lr})
        self.log.add_speed(self.step, speed)
        self.progress.report(loss, lr, speed)

    def _checkpoint_is_due(self) -> bool:
        seconds = time.monotonic() - self._saved_at
        return (
            self.timetable.checkpoint_is_due(self.step)
            or seconds > 60 * self.recipe.train.checkpoint_minutes
        )

    def _save(self) -> None:
        self.log.flush()  # first, so that no row up to the checkpoint can be lost
        save_checkpoint(
            self.folder / CHECKPOINTS,
            step=self.step,
            model=self.model,
            optimizer=self.optimizer,
            state=self._state(),
            keep=self.recipe.train.keep_checkpoints,
            average=None if self.average is None else self.average.state,
        )
        self._saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _STANDING},
            "steps_left_out": self.finite_steps.in_a_row,
            "losses": [loss.item() for loss in self._losses],  # since the last report
            "recipe": self.recipe.model_dump(mode="json"),
            "surroundings": surroundings(self.device),
        }

    def _validate_if_due(self, interruption: Interruption) -> None:
        if not self.timetable.validation_is_due(self.step) or self.validated_step == self.step:
            return
        average = self.average
        with nullcontext() if average is None else average.in_place_of(self.model):
            try:
                evaluation = self._evaluate(interruption)
            except StoppedError:
                return  # the checkpoint of this step is saved; --resume takes the validation up
            is_best = self._keep_if_best(evaluation)
        self.validated_step = self.step
        self.log.add(self.step, row(evaluation))
        self.log.flush()
        self.progress.validated(self.step, evaluation, is_best=is_best)

    def _evaluate(self, interruption: Interruption) -> Evaluation:
        return validate(
            self.model,
            self.val_set,
            step=self.step,
            device=str(self.device),
            previews=self.recipe.train.previews,
            folder=self.folder / PREVIEWS,
            log=self.log,
            progress=self.progress,
            interruption=interruption,
        )

    def _keep_if_best(self, evaluation: Evaluation) -> bool:
        # Without a single pixel to judge by there is no score; the weights are kept all the same.
        score = 0.0 if math.isnan(evaluation.scores.mean_iou) else evaluation.scores.mean_iou
        if score <= self.best_score:
            return False
        self.best_score, self.best_step = score, self.step
        dtype = STORAGE[self.recipe.train.weights_dtype]
        save_model(self.model, self.folder / BEST, dtype=dtype, license=self.recipe.license)
        return True


def _open(data: DataSection, split: str) -> Dataset:
    return open_dataset(
        data.source, split, classes=data.classes, ignore=data.ignore, size=data.size
    )
