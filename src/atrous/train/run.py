"""From a recipe to a run directory with a model file in it."""

import math
import platform
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import atrous
from atrous.data import Sample
from atrous.evaluate import Evaluation, evaluate
from atrous.recipe import Recipe
from atrous.train.batch_size import fit_batch_size
from atrous.train.checkpoint import Checkpoint, load_latest
from atrous.train.data_check import check_data
from atrous.train.disk import checkpoint_bytes, refuse_full_disk
from atrous.train.interruption import Interruption
from atrous.train.kept import Kept
from atrous.train.lock import hold
from atrous.train.loop import Training
from atrous.train.precision import fabric_precision
from atrous.train.processes import World, joined
from atrous.train.progress import Progress, SilentProgress
from atrous.train.report import ImageRanking, write_report
from atrous.train.run_directory import (
    BEST,
    CHECKPOINTS,
    RECIPE,
    keep_recipe,
    refuse_existing_run,
    remove_leftovers,
    resume_run,
)
from atrous.train.same_data import keep_record, refuse_other_data
from atrous.train.same_recipe import differences, refuse_other_recipe, surroundings
from atrous.train.worker_errors import worker_errors
from atrous.weights import save_model
from atrous.weights.model_file import STORAGE, read_model


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        folder: The run directory.
        step: Steps taken so far.
        total_steps: Steps of the whole training, which `train.patience` can end before.
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
        recipe: What to train on what; with `resume`, by default, the run's own, of which only what
            does not decide the weights may be changed.
        out: The run directory, made here.
        resume: Go on from the newest checkpoint in `out`.
        progress: What tells a person how it goes; by default nothing does. Of several processes
            that torchrun started, the first one tells.

    Raises:
        SystemExit: Another process failed, and says why.
        UsageError: `out` holds a run already and `resume` is not set, or another process trains
            there.
        RecipeError: `recipe` is not what the run to resume was trained with.
        DataError: The data set is not what it should be or was, or there is nothing to resume.
        DivergedError: The loss is no longer a finite number.
        ResourceError: The disk is full or cannot be written, memory ran out, or a data worker died.

    Example:
        >>> from atrous.recipe import load_recipe
        >>> recipe = load_recipe("default", ["data.source=my-data"])
        >>> train(recipe, "runs/first").evaluation.scores.mean_iou  # doctest: +SKIP
        0.61
    """
    with Kept() as kept, joined() as world:
        folder = kept.folder = world.of_first(lambda: Path(out))
        progress = progress if progress and world.is_first else SilentProgress()
        with hold(folder, say=progress.note) if world.is_first else nullcontext():
            training = _begin(folder, recipe, progress, world, resume=resume)
            with Interruption() as interruption, worker_errors():
                training.run(interruption)
            return _end(training, world)


def _begin(
    folder: Path, recipe: Recipe | None, progress: Progress, world: World, *, resume: bool
) -> Training:
    prepare = _resume if resume else _start
    recipe, checkpoint = world.of_first(lambda: prepare(folder, recipe, progress, world))
    training = Training(recipe, folder, progress, world)
    if world.is_first:
        if checkpoint is None:
            keep_record(folder, recipe.data.source, training.datasets)
        else:
            _compare(training, checkpoint)
        keep_recipe(folder, recipe)
        _refuse_full_disk(training)
    if checkpoint is not None:
        training.restore(checkpoint)
    return training


def _start(
    folder: Path, recipe: Recipe | None, progress: Progress, world: World
) -> tuple[Recipe, None]:
    refuse_existing_run(folder)
    remove_leftovers(folder)
    recipe = recipe or Recipe()
    check_data(recipe, progress.note)
    return fit_batch_size(recipe, world=world, say=progress.note), None


def _resume(
    folder: Path, recipe: Recipe | None, progress: Progress, _: World
) -> tuple[Recipe, Checkpoint]:
    recipe = recipe or resume_run(folder)
    remove_leftovers(folder)
    checkpoint = load_latest(folder / CHECKPOINTS, say=progress.note)
    refuse_other_recipe(checkpoint.state["recipe"], recipe, where=str(folder / RECIPE))
    return recipe, checkpoint


def _compare(training: Training, checkpoint: Checkpoint) -> None:
    """Refuse other data than the checkpoint's, and tell what else is not as it was then."""
    source = training.recipe.data.source
    note = refuse_other_data(training.folder, source, training.datasets)
    now = surroundings(training.device, training.recipe.train.precision)
    if changes := differences(checkpoint.state["surroundings"], now):
        note = f"{changes}: the weights can differ in their last bits from those of an unbroken run"
    if note:
        training.progress.note(note)


def _refuse_full_disk(training: Training) -> None:
    average, optimizer = training.average is not None, training.recipe.optim.name
    refuse_full_disk(
        training.folder / CHECKPOINTS,
        checkpoint=checkpoint_bytes(training.model, optimizer=optimizer, average=average),
        best=sum(tensor.nbytes for tensor in training.model.state_dict().values()),
        keep=training.recipe.train.keep_checkpoints,
    )


def _end(training: Training, world: World) -> Outcome:
    """Say how a training ended; only the first process measures and writes."""
    outcome = Outcome(training.folder, training.step, training.timetable.total_steps)
    if training.stopped_by is not None:
        if world.is_first:
            write_report(training.folder, facts=_standing(training))
        return replace(outcome, stopped_by=training.stopped_by)
    training.progress.trained(training.stopwatch.seconds, training.stopwatch.waiting)
    evaluation = world.of_first(lambda: _finish(training))
    return replace(outcome, model_file=training.folder / BEST, evaluation=evaluation)


def _finish(training: Training) -> Evaluation:
    """Measure the best weights as they are stored, and write the figures into their file."""
    file = training.folder / BEST
    model = read_model(file)
    ranking = ImageRanking(model.palette)
    with training.progress.validation(len(training.val_set)) as advance:

        def on_image(sample: Sample, labels: Tensor) -> None:
            advance()
            ranking.add(sample, labels)

        evaluation = evaluate(
            model, training.val_set, device=training.recipe.train.device, on_image=on_image
        )
    recipe = training.recipe
    save_model(
        model,
        file,
        dtype=STORAGE[recipe.train.weights_dtype],
        training=_facts(training, evaluation),
        license=recipe.license,
    )
    write_report(training.folder, evaluation=evaluation, ranking=ranking)
    return evaluation


def _standing(training: Training) -> dict[str, Any]:
    """Return what the report of a run says that was stopped."""
    return {
        "steps": training.step,
        "total_steps": training.timetable.total_steps,
        **_effort(training),
    }


def _effort(training: Training) -> dict[str, Any]:
    return {
        "minutes": round(training.stopwatch.seconds / 60, 1),
        "waiting_for_data": round(training.stopwatch.waiting, 3),
        "processes": training.world.size,
        "processor": _processor(training.device),
        "precision": fabric_precision(training.recipe.train.precision, training.device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{package: version(package) for package in ("numpy", "pillow", "timm")},
        "atrous": atrous.__version__,
    }


def _facts(training: Training, evaluation: Evaluation) -> dict[str, Any]:
    scores, settings = evaluation.scores, training.recipe.train
    return {
        "recipe": training.recipe.name,
        "dataset": training.train_set.name,
        "train_split": training.recipe.data.train_split,
        "train_images": len(training.train_set),
        "val_split": training.recipe.data.val_split,
        "val_images": len(training.val_set),
        "steps": training.step,
        "best_step": training.best_step,
        "batch_size": settings.batch_size,
        "epochs": round(training.step / training.timetable.steps_per_epoch, 1),
        "seed": settings.seed,
        **_effort(training),
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
    return f"{_cpu()}, {torch.get_num_threads()} threads"


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else f"{platform.machine()} CPU"
