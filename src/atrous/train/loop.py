"""The training loop: draw, step, save, validate, from step 0 or from where a run stood.

Everything random is a function of the seed and the step (the order of samples, their augmentation,
dropout), so a run that was stopped and resumed ends with the weights of one that was not.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrous.data import Dataset, Sample, open_dataset
from atrous.data.order import seed_for_step
from atrous.devices import pick_device
from atrous.errors import DivergedError, MissingExtraError
from atrous.evaluate import Evaluation, evaluate
from atrous.losses import upsampled_cross_entropy
from atrous.models import SegmentationModel, create_model
from atrous.recipe import DataSection, Recipe
from atrous.train.batches import batches
from atrous.train.checkpoint import load_latest, restore_moments, save_checkpoint
from atrous.train.class_weights import class_weights
from atrous.train.interruption import Interruption, StoppedError
from atrous.train.metrics_log import MetricsLog
from atrous.train.optimizer import build_optimizer, set_lr
from atrous.train.precision import fabric_precision, spare_slow_convolutions
from atrous.train.preview import write_preview
from atrous.train.progress import Progress
from atrous.train.run_directory import BEST, CHECKPOINTS, PREVIEWS
from atrous.train.schedule import lr_factor
from atrous.weights import save_model
from atrous.weights.model_file import STORAGE

_REPORT_EVERY = 10  # steps; reading the loss makes a GPU wait
# What a checkpoint holds of a training beside weights and moments.
_STANDING = ("validated_step", "best_score", "best_step", "seconds")


class Training:
    """One training: its network, its data, and where it stands.

    Attributes:
        step: Steps taken so far.
        total_steps: Steps of the whole training.
        steps_per_epoch: Batches that make one pass over the training images, a fraction too.
        best_score: Highest validation mIoU so far, and `best_step` where it was reached.
        seconds: Time spent so far, by killed and resumed processes too up to their checkpoints.
    """

    def __init__(self, recipe: Recipe, folder: Path, progress: Progress) -> None:
        self.recipe, self.folder, self.progress = recipe, folder, progress
        self.device = pick_device(recipe.train.device)
        self.train_set = _open(recipe.data, recipe.data.train_split)
        self.val_set = _open(recipe.data, recipe.data.val_split)
        self.steps_per_epoch = len(self.train_set) / recipe.train.batch_size
        self.total_steps = _total_steps(recipe, self.steps_per_epoch)
        weights = class_weights(recipe.train.class_weights, self.train_set)
        self.class_weights = None if weights is None else weights.to(self.device)
        torch.manual_seed(recipe.train.seed)
        self.model = _build(recipe, self.train_set).to(self.device)
        self.model.to(memory_format=torch.channels_last)
        spare_slow_convolutions(self.model, self.device)
        self.optimizer = build_optimizer(self.model, recipe.optim)
        self.step, self.validated_step = 0, 0
        self.best_score, self.best_step = -1.0, 0
        self.seconds = 0.0
        self._losses: list[Tensor] = []

    def restore(self) -> None:
        """Go back to the newest checkpoint.

        Raises:
            DataError: There is none, or it is damaged.
        """
        checkpoint = load_latest(self.folder / CHECKPOINTS)
        self.model.load_state_dict(checkpoint.model)
        restore_moments(self.optimizer, checkpoint.optimizer)
        self.step = checkpoint.step
        for name in _STANDING:
            setattr(self, name, checkpoint.state[name])

    def run(self, interruption: Interruption) -> None:
        """Take the steps that are left, save and validate on the way; stop when asked to."""
        self.log = MetricsLog(self.folder, last_step=self.step)
        self.fabric, self.network, self.fabric_optimizer = self._set_up_fabric()
        self._clock = time.monotonic()
        with self.progress.training(self.step, self.total_steps, self.steps_per_epoch):
            self._validate_if_due(interruption)  # a run can be killed while it validates
            for images, labels in self._batches():
                self._take_step(images, labels)
                if self._checkpoint_is_due() or interruption.signal is not None:
                    self._save()
                self._validate_if_due(interruption)
                if interruption.signal is not None:
                    break
        self.log.close()

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
        network.mark_forward_method("coarse_logits")
        return fabric, network, optimizer

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the batches of the steps that are left."""
        return batches(
            self.train_set,
            self.recipe.data,
            self.recipe.train,
            first_step=self.step,
            total_steps=self.total_steps,
            pin_memory=self.device.type == "cuda",
        )

    def _take_step(self, images: Tensor, labels: Tensor) -> None:
        optim = self.recipe.optim
        factor = lr_factor(
            self.step,
            self.total_steps,
            schedule=optim.schedule,
            power=optim.power,
            warmup_steps=optim.warmup_steps,
        )
        lr = set_lr(self.optimizer, factor)
        torch.manual_seed(seed_for_step(self.recipe.train.seed, self.step))
        self.model.train()
        # The weights are channels_last; other inputs would be laid out anew in each convolution.
        images = images.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        with self.fabric.autocast():
            logits = self.network.coarse_logits(self.model.preprocessing(images))
        loss = upsampled_cross_entropy(logits, labels.to(self.device), self.class_weights)
        self.fabric.backward(loss)
        if optim.clip_norm is not None:
            self.fabric.clip_gradients(
                self.network, self.fabric_optimizer, max_norm=optim.clip_norm
            )
        self.fabric_optimizer.step()
        self.fabric_optimizer.zero_grad()
        self.step += 1
        self._losses.append(loss.detach())
        self.progress.step(self.step)
        if self.step % _REPORT_EVERY == 0 or self.step == self.total_steps:
            self._report(lr)

    def _report(self, lr: float) -> None:
        """Put the mean loss since the last report on screen and into the log."""
        loss = self._mean_loss()
        now = time.monotonic()
        seconds, self._clock = now - self._clock, now
        self.seconds += seconds
        speed = len(self._losses) * self.recipe.train.batch_size / seconds
        epoch = round(self.step / self.steps_per_epoch, 3)
        self._losses.clear()
        values = {"epoch": epoch, "loss": loss, "lr": lr, "images_per_second": round(speed, 2)}
        self.log.add(self.step, values)
        self.progress.report(loss, lr, speed)

    def _mean_loss(self) -> float:
        loss = torch.stack(self._losses).mean().item()
        if not math.isfinite(loss):
            raise DivergedError(
                f"{self.folder}: the loss became {loss} near step {self.step}; the checkpoints "
                "before it are kept; lower optim.lr, or set optim.clip_norm=1"
            )
        return loss

    def _validation_is_due(self) -> bool:
        every = max(1, round(self.recipe.train.validate_every * self.steps_per_epoch))
        return self.step > 0 and (self.step % every == 0 or self.step == self.total_steps)

    def _checkpoint_is_due(self) -> bool:
        return self.step % self.recipe.train.checkpoint_every == 0 or self._validation_is_due()

    def _save(self) -> None:
        if self._losses:
            self._mean_loss()  # weights behind a loss that is not finite are not worth keeping
        self.log.flush()  # first, so that no row up to the checkpoint can be lost
        save_checkpoint(
            self.folder / CHECKPOINTS,
            step=self.step,
            model=self.model,
            optimizer=self.optimizer,
            state={name: getattr(self, name) for name in _STANDING},
            keep=self.recipe.train.keep_checkpoints,
        )

    def _validate_if_due(self, interruption: Interruption) -> None:
        if not self._validation_is_due() or self.validated_step == self.step:
            return
        try:
            evaluation = self._evaluate(interruption)
        except StoppedError:
            return  # the checkpoint of this step is saved; the validation is taken up by --resume
        self.validated_step = self.step
        # Without a single pixel to judge by there is no score; the weights are kept all the same.
        score = 0.0 if math.isnan(evaluation.scores.mean_iou) else evaluation.scores.mean_iou
        is_best = score > self.best_score
        if is_best:
            self.best_score, self.best_step = score, self.step
            dtype = STORAGE[self.recipe.train.weights_dtype]
            save_model(self.model, self.folder / BEST, dtype=dtype, license=self.recipe.license)
        self._log_validation(evaluation)
        self.progress.validated(self.step, evaluation, is_best=is_best)

    def _evaluate(self, interruption: Interruption) -> Evaluation:
        chosen = _spread(self.recipe.train.previews, len(self.val_set))
        with self.progress.validation(len(self.val_set)) as advance:

            def on_image(sample: Sample, labels: Tensor) -> None:
                if interruption.signal is not None:
                    raise StoppedError
                if advance() in chosen:
                    self._preview(sample, labels)

            return evaluate(self.model, self.val_set, device=str(self.device), on_image=on_image)

    def _preview(self, sample: Sample, labels: Tensor) -> None:
        picture = write_preview(
            self.folder / PREVIEWS, sample, labels.cpu().numpy(), palette=self.model.palette
        )
        self.log.add_picture(self.step, f"preview/{sample.name}", picture)

    def _log_validation(self, evaluation: Evaluation) -> None:
        scores = evaluation.scores
        values = {"val_mean_iou": scores.mean_iou, "val_pixel_accuracy": scores.pixel_accuracy}
        for name, iou in zip(evaluation.classes, scores.class_iou, strict=True):
            values[f"val_iou/{name}"] = iou
        self.log.add(self.step, values)
        self.log.flush()


def _open(data: DataSection, split: str) -> Dataset:
    return open_dataset(
        data.source, split, classes=data.classes, ignore=data.ignore, size=data.size
    )


def _total_steps(recipe: Recipe, steps_per_epoch: float) -> int:
    if recipe.train.max_steps is not None:
        return recipe.train.max_steps
    return max(1, math.ceil((recipe.train.epochs or 0) * steps_per_epoch))


def _build(recipe: Recipe, dataset: Dataset) -> SegmentationModel:
    return create_model(
        recipe.model.architecture,
        classes=dataset.classes,
        palette=dataset.palette,
        **recipe.model.model_dump(exclude={"architecture"}),
    )


def _spread(count: int, length: int) -> set[int]:
    """Return the numbers, from 1, of `count` images spread evenly over `length`."""
    count = min(count, length)
    return {1 + index * length // count for index in range(count)}
