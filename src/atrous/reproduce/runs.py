"""The trainings of a study, each in a run directory of its own, and the scores of their weights.

`OUT/<variant>/seed-<n>/` is a run as `atrous train` makes them, `OUT/<variant>/seed-<n>.json` its
score. What has a score is never trained or evaluated again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from atrous.data import Dataset, open_dataset
from atrous.errors import UsageError
from atrous.evaluate import Evaluation, evaluate
from atrous.files import write_json
from atrous.recipe import DataSection, Recipe, load_recipe
from atrous.reproduce.scores import read_score, score_file
from atrous.reproduce.study import Study, Variant, recipe_for
from atrous.train import train
from atrous.train.progress import Progress
from atrous.train.run_directory import BEST, CHECKPOINTS, RECIPE
from atrous.train.same_data import refuse_other_data
from atrous.train.same_recipe import refuse_other_recipe
from atrous.weights.model_file import read_facts, read_model


@dataclass(frozen=True)
class Job:
    """One training, and the variants that its weights are scored as.

    Attributes:
        folder: The run directory.
        recipe: Of the training.
        seed: Of the training.
        variants: What is scored.
        out: The study's folder.
    """

    folder: Path
    recipe: Recipe
    seed: int
    variants: tuple[Variant, ...]
    out: Path

    @property
    def unscored(self) -> tuple[Variant, ...]:
        """The variants that have no score yet."""
        return tuple(v for v in self.variants if not score_file(self.out, v, self.seed).is_file())


def plan(
    study: Study,
    out: str | Path,
    *,
    data: str,
    seeds: int,
    settings: Sequence[str] = (),
    variants: Sequence[Variant] = (),
) -> list[Job]:
    """Return the trainings of a study: all variants with the first seed, then with the next.

    Args:
        study: The table.
        out: Its folder.
        data: The data set, by its folder or name.
        seeds: How many trainings of each variant.
        settings: Changes of the base recipe.
        variants: Those to score; all by default.

    Raises:
        UsageError: A setting changes what the study decides, or makes the comparison void.
        RecipeError: A setting is not one of a recipe, or not that of a run or score in `out`.
        DataError: A file in `out` is damaged, or the data is not what it was.
    """
    jobs = [
        Job(
            folder=Path(out) / trained.name / f"seed-{seed}",
            recipe=recipe_for(study, trained, data=data, seed=seed, settings=settings),
            seed=seed,
            variants=tuple(v for v in study.variants if v.trained_as == trained.name),
            out=Path(out),
        )
        for seed in range(seeds)
        for trained in study.variants
        if not trained.weights_of
    ]
    for job in jobs:
        _refuse_too_dense(job)
        _refuse_other_settings(job)
    _refuse_changed_data(jobs)
    chosen = [replace(job, variants=_in(job.variants, variants)) for job in jobs]
    return [job for job in chosen if job.variants]


def _in(all_: tuple[Variant, ...], chosen: Sequence[Variant]) -> tuple[Variant, ...]:
    return tuple(v for v in all_ if v in chosen) if chosen else all_


def carry_out(job: Job, progress: Progress | None = None) -> int | None:
    """Train, from where an earlier command stopped, and score the last weights.

    Returns:
        None when it is done; the number of the signal that stopped it.

    Raises:
        AtrousError: What `train` and `evaluate` raise.
    """
    if not job.unscored:
        return None
    evaluation = None
    if not _is_trained(job.folder):
        resume = any((job.folder / CHECKPOINTS).glob("step-*"))
        outcome = train(job.recipe, job.folder, resume=resume, progress=progress)
        if outcome.evaluation is None:
            return outcome.stopped_by
        evaluation = outcome.evaluation
    for variant in job.unscored:
        _score(job, variant, evaluation if variant.denser == 1 else None)
    return None


def _is_trained(folder: Path) -> bool:
    """Whether the weights are there with their facts, which a training writes at its very end."""
    return (folder / BEST).is_file() and bool(read_facts(folder / BEST).training)


def _refuse_too_dense(job: Job) -> None:
    """Raise where weights would be scored at an output stride that no network has."""
    stride, denser = job.recipe.model.output_stride, max(v.denser for v in job.variants)
    if stride is not None and stride < 4 * denser:
        raise UsageError(
            f"{job.folder}: trained at output stride {stride}, it cannot be scored {denser} times "
            f"as dense, as 4 is the least; use model.output_stride={4 * denser} or more"
        )


def _refuse_other_settings(job: Job) -> None:
    """Compare the recipe with those of the scores, and of the run, that are there already."""
    for variant in job.variants:
        path = score_file(job.out, variant, job.seed)
        if path.is_file():
            refuse_other_recipe(read_score(path)["recipe"], job.recipe, where=str(path))
    path = job.folder / RECIPE
    if path.is_file() and any((job.folder / CHECKPOINTS).glob("step-*")):
        before = load_recipe(path).model_dump(mode="json")
        refuse_other_recipe(before, job.recipe, where=str(path))


def _refuse_changed_data(jobs: Sequence[Job]) -> None:
    """Compare the data with that of the runs that are complete; the others are trained on."""
    trained = [job for job in jobs if _is_trained(job.folder)]
    if not trained:
        return
    data = trained[0].recipe.data
    datasets = {split: _open(data, split) for split in (data.train_split, data.val_split)}
    for job in trained:
        refuse_other_data(job.folder, data.source, datasets)


def _open(data: DataSection, split: str) -> Dataset:
    return open_dataset(
        data.source, split, classes=data.classes, ignore=data.ignore, size=data.size
    )


def _score(job: Job, variant: Variant, evaluation: Evaluation | None) -> None:
    model = read_model(job.folder / BEST)
    if variant.denser > 1:
        model.set_output_stride(model.output_stride // variant.denser)
    if evaluation is None:
        dataset = _open(job.recipe.data, job.recipe.data.val_split)
        evaluation = evaluate(model, dataset, device=job.recipe.train.device)
    training = read_facts(job.folder / BEST).training
    facts = ("steps", "minutes", "train_images", "processor", "torch", "atrous")
    write_json(
        score_file(job.out, variant, job.seed),
        {
            "variant": variant.name,
            "trained_as": variant.trained_as,
            "seed": job.seed,
            "output_stride": model.output_stride,
            "rates": list(model.rates),
            **{name: training[name] for name in facts},
            **evaluation.to_json(),
            "recipe": job.recipe.model_dump(mode="json"),
        },
    )
