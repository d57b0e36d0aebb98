"""The data doctor before a training: what would be found after an hour is found at once."""

import shlex
from collections.abc import Callable

from atrous.data.dataset import label_scheme, open_dataset, plain_folder
from atrous.data.doctor import Finding, Plan, Report, check_before_training, check_samples
from atrous.errors import AtrousError, DataError
from atrous.models.create import find_architecture
from atrous.models.pyramids import paper_rates
from atrous.recipe import Recipe


def plan_of(recipe: Recipe) -> Plan:
    """Return what a recipe is going to do with its data set.

    Raises:
        UsageError: There is no such architecture.
    """
    model, data = recipe.model, recipe.data
    family = find_architecture(model.architecture)
    stride = model.output_stride or family.output_stride
    pyramid = model.pyramid or family.pyramids[0]
    return Plan(
        train_split=data.train_split,
        val_split=data.val_split,
        crop_size=data.crop_size,
        output_stride=stride,
        rates=tuple(model.rates or paper_rates(pyramid, stride, model.kernel_size)),
        kernel_size=model.kernel_size,
    )


def check_data(recipe: Recipe, say: Callable[[str], object]) -> None:
    """Have the doctor look at the data set: at a plain folder, or at some samples of any other.

    What keeps a data set from being opened is left to the training, which says it next.

    Args:
        recipe: Its `data` section; `data.check: false` leaves the doctor out.
        say: Told in one line what makes the training worse, but does not keep it from starting.

    Raises:
        DataError: Something keeps the training from starting, or makes its result worthless.
    """
    data = recipe.data
    if not data.check or data.source in {"", "shapes"}:
        return
    folder = plain_folder(data.source)
    if folder is None:
        report = _look_at_samples(recipe)
    elif folder.is_dir():
        scheme = label_scheme(folder, data.classes, data.ignore)
        report = check_before_training(folder, scheme=scheme, plan=plan_of(recipe))
    else:
        return
    if errors := _of(report, "error"):
        raise DataError(
            f"{_summary(report, errors, 'error')}; --set data.check=false trains all the same"
        )
    if warnings := _of(report, "warning"):
        say(_summary(report, warnings, "warning"))


def _look_at_samples(recipe: Recipe) -> Report:
    data, plan = recipe.data, plan_of(recipe)
    try:
        splits = {
            split: open_dataset(data.source, split, classes=data.classes, ignore=data.ignore)
            for split in plan.splits
        }
    except AtrousError:
        splits = {}
    return check_samples(data.source, splits, plan)


def _of(report: Report, severity: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity == severity]


def _summary(report: Report, findings: list[Finding], severity: str) -> str:
    """Return one line: the first finding with its cure, and where to see the others."""
    first = findings[0]
    file = f" ({first.places[0].file})" if first.places else ""
    cure = f"; {first.cure}" if first.cure else ""
    number = f"1 {severity}" if len(findings) == 1 else f"{len(findings)} {severity}s, the first"
    if plain_folder(str(report.folder)) is None:
        detail = f" ({first.places[0].detail or first.places[0].file})" if first.places else ""
        return f"{report.folder}: {number}: {first.what}{detail}{cure}"
    command = f"atrous data check {shlex.quote(str(report.folder))}"
    accept = ", and with --write writes the dataset.yaml it proposes" if report.proposal else ""
    return f"{report.folder}: {number}: {first.what}{file}{cure}; {command} shows all{accept}"
