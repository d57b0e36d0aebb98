"""The training loop: draw, step, save, validate, from step 0 or from where a run stood.

Everything random is a function of the seed and the step (the order of samples, their augmentation,
dropout), so a run that was stopped and resumed ends with the weights of one that was not. Several
processes take each step together: they hold the same weights, and only the first one writes.
"""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrous.data import Dataset
from atrous.data.order import seed_for_step
from atrous.evaluate import Evaluation
from atrous.recipe import Recipe
from atrous.train.batches import batches, open_split
from atrous.train.checkpoint import Checkpoint, restore_moments, save_checkpoint
from atrous.train.class_weights import class_weights
from atrous.train.ema import AveragedWeights
from atrous.train.finite_steps import FiniteSteps
from atrous.train.freezing import train_all_but
from atrous.train.gradients import SharedGradients
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog, SilentLog
from atrous.train.network import build_network, enter_stage, join_norms
from atrous.train.objective import Objective
from atrous.train.optimizer import build_optimizer, set_lr
from atrous.train.precision import set_up_fabric
from atrous.train.processes import ALONE, World
from atrous.train.progress import Progress
from atrous.train.run_directory import BEST, CHECKPOINTS, PREVIEWS
from atrous.train.same_recipe import surroundings
from atrous.train.stopwatch import Stopwatch
from atrous.train.timetable import Timetable
from atrous.train.validation import row, validate
from atrous.train.waiting import Timed
from atrous.weights import save_model
from atrous.weights.model_file import STORAGE

Batch = tuple[Tensor, Tensor]

_REPORT_EVERY = 10  # steps; reading the loss makes a GPU wait
_STANDING = ("validated_step", "best_score", "best_step")  # as checkpoints hold them


class Training:
    """One training: its network, its data, and where it stands.

    Attributes:
        step: Steps taken so far.
        timetable: Steps of the whole training, and what is due at which.
        best_score: Highest validation mIoU so far, and `best_step` where it was reached.
        stopwatch: Where its time went.
        stopped_by: The signal that stopped it, whichever process it came to; None without.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, progress: Progress, world: World = ALONE
    ) -> None:
        self.recipe, self.folder, self.progress, self.world = recipe, folder, progress, world
        world.part_of(recipe.train.batch_size)  # or raise now
        self.device = world.pick_device(recipe.train.device)
        self.train_set = open_split(recipe.data, recipe.data.train_split)
        self.val_set = open_split(recipe.data, recipe.data.val_split)
        self.timetable = Timetable(recipe, len(self.train_set))
        weights = class_weights(
            recipe.train.class_weights, self.train_set, world, say=progress.note
        )
        weights = None if weights is None else weights.to(self.device)
        self.objective = Objective(recipe.loss, weights)
        torch.manual_seed(recipe.train.seed)
        self.model = build_network(recipe, self.train_set, self.device, say=progress.note)
        join_norms(self.model, recipe, self.device, world, say=progress.note)
        self.frozen = enter_stage(self.model, recipe, self.device, second=False)
        self.optimizer = build_optimizer(self.model, recipe.optim)
        decay = recipe.train.ema_decay
        self.average = None if decay is None else AveragedWeights(self.model, decay)
        self.step, self.validated_step = 0, 0
        self.best_score, self.best_step = -1.0, 0
        self.stopwatch = Stopwatch()
        self.stopped_by: int | None = None
        self.finite_steps = FiniteSteps(self.model)
        self._losses: list[Tensor] = []

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The data sets by their splits."""
        data = self.recipe.data
        return {data.train_split: self.train_set, data.val_split: self.val_set}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where `checkpoint` was saved."""
        self.model.load_state_dict(checkpoint.model)
        restore_moments(self.optimizer, checkpoint.optimizer)
        if self.average is not None and checkpoint.average is not None:
            self.average.load(checkpoint.average)
        self.step = checkpoint.step
        for name in _STANDING:
            setattr(self, name, checkpoint.state[name])
        self.stopwatch.restore(checkpoint.state)
        self.finite_steps.restore(checkpoint.state)
        self._losses = list(torch.tensor(checkpoint.state["losses"], device=self.device))
        if self.timetable.is_in_second_stage(self.step - 1):
            self._begin_second_stage()

    def run(self, interruption: Interruption) -> None:
        """Take the steps that are left, save and validate on the way; stop when asked to."""
        log = MetricsLog(self.folder, last_step=self.step) if self.world.is_first else SilentLog()
        with closing(log) as self.log, closing(self._batches()) as batches:
            self._batches_in_time = Timed(batches)
            self.set_up()
            self._run(interruption)

    def set_up(self) -> None:
        """Make network and optimiser ready for steps."""
        self.fabric, self.network, self.fabric_optimizer = set_up_fabric(
            self.model, self.optimizer, precision=self.recipe.train.precision, device=self.device
        )
        self.gradients = SharedGradients(self.model.parameters(), self.world)

    def _run(self, interruption: Interruption) -> None:
        self._saved_at = time.monotonic()
        self.stopwatch.begin(self.step)
        timetable, each = self.timetable, range(self.recipe.train.accumulate_steps)
        with self.progress.training(self.step, timetable.total_steps, timetable.steps_per_epoch):
            with self.stopwatch.beside_the_steps():
                self._validate_if_due(interruption)  # a run can be killed while it validates
            while self.stopped_by is None and not self._is_over():
                self.take_step([next(self._batches_in_time) for _ in each])
                self.progress.step(self.step)
                if self.step % _REPORT_EVERY == 0 or self.step == timetable.total_steps:
                    self._report()
                if self._checkpoint_is_due(interruption):
                    with self.stopwatch.beside_the_steps():
                        self._save()
                with self.stopwatch.beside_the_steps():
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

    def _batches(self) -> Generator[Batch]:
        """Return the batches of the steps that are left, this process's part of each."""
        each = self.recipe.train.accumulate_steps
        return batches(
            self.train_set,
            self.recipe.data,
            self.recipe.train,
            first_step=self.step * each,
            total_steps=self.timetable.total_steps * each,
            pin_memory=self.device.type == "cuda",
            world=self.world,
        )

    def take_step(self, batches: Sequence[Batch]) -> None:
        """Learn from the batches of a step: forward, loss, backward, optimiser.

        Raises:
            DivergedError: It is one too many in a row that is not finite.
        """
        if self.step == self.timetable.second_stage_from:
            self._begin_second_stage()
        set_lr(self.optimizer, self.timetable.lr_factor(self.step))
        torch.manual_seed(seed_for_step(self.recipe.train.seed, self.step) + self.world.rank)
        train_all_but(self.frozen, self.model)
        shares = self.objective.shares([labels for _, labels in batches], self.world)
        self.finite_steps.begin()
        *before, last = zip(batches, shares, strict=True)
        losses = [self._learn(*batch, share) for batch, share in before]
        with self.gradients.summed():
            losses.append(self._learn(*last[0], last[1]))
        loss = self.world.sum(torch.stack(losses).sum())
        self.world.copy_first(self.model.buffers())  # batch norms have seen different images
        if self.finite_steps.accept(loss):
            self._follow_gradients()
            self._losses.append(loss)
        else:
            said = self.finite_steps.left_out(loss, self.step, self.train_set, self.recipe.train)
            self.progress.note(said)
        self.fabric_optimizer.zero_grad()
        self.step += 1

    def _follow_gradients(self) -> None:
        if self.recipe.optim.clip_norm is not None:
            self.fabric.clip_gradients(
                self.network, self.fabric_optimizer, max_norm=self.recipe.optim.clip_norm
            )
        self.fabric_optimizer.step()
        if self.average is not None:
            self.average.update(self.model, self.step + 1)

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

    def _report(self) -> None:
        """Put the mean loss since the last report on screen and into the log."""
        if not self._losses:
            return  # none of the steps was followed
        loss = torch.stack(self._losses).mean().item()
        [waited] = self.world.largest(self._batches_in_time.seconds())
        steps, seconds = self.stopwatch.lap(self.step, waited=waited)
        settings = self.recipe.train
        speed = steps * settings.batch_size * settings.accumulate_steps / seconds
        epoch = round(self.step / self.timetable.steps_per_epoch, 3)
        self._losses.clear()
        lr = self.optimizer.param_groups[0]["lr"]  # the backbone's
        left_out = {"steps_left_out": self.finite_steps.in_all} if self.finite_steps.in_all else {}
        self.log.add(self.step, {"epoch": epoch, "loss": loss, "lr": lr, **left_out})
        speeds = {
            "images_per_second": round(speed, 2),
            "waiting_for_data": round(waited / seconds, 3),
        }
        self.log.add_speed(self.step, speeds)
        self.progress.report(loss, lr, speed)

    def _checkpoint_is_due(self, interruption: Interruption) -> bool:
        minutes = (time.monotonic() - self._saved_at) / 60
        is_late = self.world.is_first and minutes > self.recipe.train.checkpoint_minutes
        is_late = self._agree(interruption, is_late)
        return is_late or self.stopped_by is not None or self.timetable.checkpoint_is_due(self.step)

    def _agree(self, interruption: Interruption, is_late: bool = False) -> bool:
        """Take over a signal that came to any process; return whether `is_late` holds in one."""
        signal, late = self.world.largest(interruption.signal or 0, is_late)
        self.stopped_by = int(signal) or None
        return bool(late)

    def _save(self) -> None:
        if not self.world.is_first:
            return
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
            **self.stopwatch.state,
            **self.finite_steps.state,
            "losses": [loss.item() for loss in self._losses],  # since the last report
            "recipe": self.recipe.model_dump(mode="json"),
            "surroundings": surroundings(self.device, self.recipe.train.precision),
        }

    def _validate_if_due(self, interruption: Interruption) -> None:
        if not self.timetable.validation_is_due(self.step) or self.validated_step == self.step:
            return
        average = self.average
        with nullcontext() if average is None else average.in_place_of(self.model):
            try:
                evaluation = self._evaluate(interruption)
            except StoppedError:
                self._agree(interruption)
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
            world=self.world,
        )

    def _keep_if_best(self, evaluation: Evaluation) -> bool:
        # Without a single pixel to judge by there is no score; the weights are kept all the same.
        score = 0.0 if math.isnan(evaluation.scores.mean_iou) else evaluation.scores.mean_iou
        if score <= self.best_score:
            return False
        self.best_score, self.best_step = score, self.step
        if self.world.is_first:
            dtype = STORAGE[self.recipe.train.weights_dtype]
            save_model(self.model, self.folder / BEST, dtype=dtype, license=self.recipe.license)
        return True
