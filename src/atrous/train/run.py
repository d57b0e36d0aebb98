"""From a recipe to a run directory with a model file in it."""

import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import atrous
from atrous.evaluate import Evaluation, evaluate
from atrous.recipe import Recipe
from atrous.train.interruption import Interruption
from atrous.train.loop import Training
from atrous.train.progress import Progress, SilentProgress
from atrous.train.run_directory import BEST, keep_recipe, refuse_existing_run, resume_run
from atrous.weights import save_model
from atrous.weights.model_file import STORAGE, read_model


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        folder: The run directory.
        step: Steps taken so far.
        total_steps: Steps of the whole training.
        stopped_by: The signal that stopped it; None when it is complete.
        model_file: The best weights; None when it was stopped.
        evaluation: Of `model_file` as it is stored, on the validation split; None likewise.
    """

    folder: Path
    step: int
    total_steps: int
    stopped_by: int | None = None
    model_file: Path | None = None
    evaluation: Evaluation | None = None


def train(
    recipe: Recipe | None,
    out: str | Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Train a network, and leave a run directory with `best.safetensors` in it.

    Args:
        recipe: What to train on what; with `resume` the run's own is taken.
        out: The run directory, made here.
        resume: Go on from the newest checkpoint in `out`.
        progress: What tells a person how it goes; by default nothing does.

    Raises:
        UsageError: `out` holds a run already and `resume` is not set.
        DataError: The data set is not what it should be, or there is nothing to resume.
        DivergedError: The loss is no longer a finite number.
        ResourceError: The disk is full or cannot be written.
    """
    folder = Path(out)
    progress = progress or SilentProgress()
    if resume:
        training = Training(resume_run(folder), folder, progress)
        training.restore()
    else:
        refuse_existing_run(folder)
        training = Training(recipe or Recipe(), folder, progress)
        keep_recipe(folder, training.recipe)
    with Interruption() as interruption:
        training.run(interruption)
    if interruption.signal is not None:
        return Outcome(folder, training.step, training.total_steps, interruption.signal)
    evaluation = _finish(training)
    return Outcome(
        folder,
        training.step,
        training.total_steps,
        model_file=folder / BEST,
        evaluation=evaluation,
    )


def _finish(training: Training) -> Evaluation:
    """Measure the best weights as they are stored, and write the figures into their file."""
    file = training.folder / BEST
    model = read_model(file)
    with training.progress.validation(len(training.val_set)) as advance:
        evaluation = evaluate(
            model,
            training.val_set,
            device=training.recipe.train.device,
            on_image=lambda *_: advance(),
        )
    recipe = training.recipe
    save_model(
        model,
        file,
        dtype=STORAGE[recipe.train.weights_dtype],
        training=_facts(training, evaluation),
        license=recipe.license,
    )
    return evaluation


def _facts(training: Training, evaluation: Evaluation) -> dict[str, Any]:
    scores, settings = evaluation.scores, training.recipe.train
    return {
        "recipe": training.recipe.name,
        "dataset": training.train_set.name,
        "train_split": training.recipe.data.train_split,
        "train_images": len(training.train_set),
        "val_split": training.recipe.data.val_split,
        "val_images": len(training.val_set),
        "steps": training.total_steps,
        "best_step": training.best_step,
        "batch_size": settings.batch_size,
        "epochs": round(training.total_steps / training.steps_per_epoch, 1),
        "seed": settings.seed,
        "minutes": round(training.seconds / 60, 1),
        "processor": _processor(training.device),
        "torch": torch.__version__,
        "atrous": atrous.__version__,
        "mean_iou": _known(scores.mean_iou),
        "pixel_accuracy": _known(scores.pixel_accuracy),
        "mean_class_accuracy": _known(scores.mean_class_accuracy),
        "frequency_weighted_iou": _known(scores.frequency_weighted_iou),
        "class_iou": dict(zip(evaluation.classes, map(_known, scores.class_iou), strict=True)),
    }


def _known(score: float) -> float | None:
    """Return None, which JSON has, for NaN, which it has not."""
    return None if math.isnan(score) else score


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
