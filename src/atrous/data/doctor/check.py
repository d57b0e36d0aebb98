"""The doctor: everything that is wrong with a data set folder, found before an hour is lost.

All files are read once and none is written. What they hold is judged afterwards, so the same
reading serves again when the classes change.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from atrous.data.doctor.files import file_findings, size_findings
from atrous.data.doctor.findings import Finding, number_of
from atrous.data.doctor.frequencies import ClassShare, class_shares, rare_findings
from atrous.data.doctor.masks import lossy_findings, mask_findings
from atrous.data.doctor.meaning import Meaning
from atrous.data.doctor.proposal import propose_scheme, scheme_yaml
from atrous.data.doctor.rates import Rate, rate_findings
from atrous.data.doctor.splits import (
    class_counts,
    class_findings,
    overlap_findings,
    seen_findings,
)
from atrous.data.doctor.survey import Files, Size, Survey, list_files, num_files, read_files, spread
from atrous.data.folder import read_scheme
from atrous.data.joined import split_names
from atrous.data.labels import LabelScheme
from atrous.errors import DataError

_ORDER = ("error", "warning", "note")
_LINE = "classes: [{name: road, value: 0}, {name: sky, value: 1}]"
_MOST_PAIRS = 500  # of each split that are read before a training


class Plan(NamedTuple):
    """What a training will do with a data set, as far as the doctor can judge it.

    Attributes:
        train_split: The split that is learnt from; train+val joins two.
        val_split: The split that is measured on.
        crop_size: (height, width) of a training crop; None for that of the first image.
        output_stride: Pixels per cell of the map that the pyramid reads.
        rates: Of the pyramid, in cells; without any they are not judged.
        kernel_size: Of the pyramid's kernels.
    """

    train_split: str = "train"
    val_split: str = "val"
    crop_size: Size | None = None
    output_stride: int = 16
    rates: tuple[Rate, ...] = ()
    kernel_size: int = 3

    @property
    def splits(self) -> list[str]:
        """The splits that are learnt from or measured on, each once."""
        return list(dict.fromkeys([*split_names(self.train_split), *split_names(self.val_split)]))


@dataclass(frozen=True)
class Report:
    """What the doctor found.

    Attributes:
        folder: The data set.
        pairs: How many pairs each split has.
        findings: Errors first, then warnings and notes.
        classes: How often each class occurs in the training split, and suggested weights.
        scheme: What mask values were taken to mean; None where nothing says so.
        proposal: What a `dataset.yaml` could say, for a folder without a good one.
    """

    folder: Path
    pairs: dict[str, int]
    findings: tuple[Finding, ...]
    classes: tuple[ClassShare, ...] = ()
    scheme: LabelScheme | None = None
    proposal: LabelScheme | None = None

    def count(self, severity: str) -> int:
        """Return how many findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "folder": str(self.folder),
            "pairs": self.pairs,
            "findings": [finding.to_json() for finding in self.findings],
            "classes": [line._asdict() for line in self.classes],
            "proposal": scheme_yaml(self.proposal) if self.proposal else None,
        }


def check_folder(
    folder: str | Path,
    *,
    scheme: LabelScheme | None = None,
    plan: Plan | None = None,
    on_file: Callable[[], None] = lambda: None,
) -> Report:
    """Read all files of a data set folder, and return what is wrong with them.

    Args:
        folder: With `images/SPLIT`, `masks/SPLIT` and, mostly, `dataset.yaml`.
        scheme: What mask values mean, in the place of `dataset.yaml`.
        plan: What a training will do with the data set.
        on_file: Called after each file.

    Raises:
        DataError: There is no such folder; nothing else raises.
    """
    root = existing_folder(folder)
    survey = read_files(root, list_files(root), on_file=on_file)
    return judge(survey, scheme=scheme, plan=plan)


def check_before_training(
    folder: str | Path, *, scheme: LabelScheme | None = None, plan: Plan | None = None
) -> Report:
    """Check, in little time, the two splits that a training is going to use.

    Pairs are looked for among all files. Of a split with more than 500 pairs, 500 spread evenly
    over it are read, and a note says so; nothing is kept between runs.

    Args:
        folder: As for `check_folder`.
        scheme: As for `check_folder`.
        plan: What the training will do with the data set.

    Raises:
        DataError: There is no such folder.
    """
    root, plan = existing_folder(folder), plan or Plan()
    present = list_files(root)
    splits = {name: present[name] for name in plan.splits if name in present}
    chosen = [path for files in splits.values() for path in spread(files, _MOST_PAIRS)]
    survey = read_files(root, splits, chosen=chosen)
    lacking = [
        _no_such_split(name, present) for name in plan.splits if present and name not in present
    ]
    return judge(survey, scheme=scheme, plan=plan, known=lacking)


def existing_folder(folder: str | Path) -> Path:
    """Return the path of a data set folder.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    root = Path(folder)
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}; give a data set folder") from None
    return root


def judge(
    survey: Survey,
    *,
    scheme: LabelScheme | None = None,
    plan: Plan | None = None,
    known: list[Finding] | None = None,
) -> Report:
    """Return what a survey means.

    Args:
        survey: What was read.
        scheme: What mask values mean; by default `dataset.yaml`, which is read here, says so. For
            a folder without it one is proposed, and taken for the rest.
        plan: What a training will do with the data set.
        known: Findings that were made before.
    """
    plan = plan or Plan()
    learnt = [split for split in split_names(plan.train_split) if split in survey.splits]
    findings = [*(known or ()), *file_findings(survey)]
    proposal = None
    if scheme is None:
        scheme, proposal, fault = _scheme_of(survey)
        findings += fault
    classes: list[ClassShare] = []
    if scheme is not None:
        meaning = Meaning(scheme)
        findings += mask_findings(survey, meaning)
        findings += [] if _is_sample(survey) else class_findings(survey, meaning, learnt)
        if learnt:
            counts = [class_counts(survey, meaning, split) for split in learnt]
            classes = class_shares(scheme.names, np.sum(counts, axis=0))
        findings += rare_findings(classes)
    else:
        findings += lossy_findings(survey)
    findings += [*overlap_findings(survey), *seen_findings(plan.train_split, plan.val_split)]
    findings += [*_plan_findings(survey, plan, learnt), *_sampled(survey)]
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    pairs = {split: len(files.paired) for split, files in survey.splits.items()}
    return Report(survey.root, pairs, tuple(findings), tuple(classes), scheme, proposal)


def _scheme_of(survey: Survey) -> tuple[LabelScheme | None, LabelScheme | None, list[Finding]]:
    """Return what `dataset.yaml` says, or else what to propose, and what to say of that."""
    file = survey.root / "dataset.yaml"
    try:
        return read_scheme(file), None, []
    except DataError as error:
        fault = str(error).removeprefix(f"{file}: ")
    proposal = propose_scheme(survey)
    if file.exists():
        kind, what, cure = "bad-dataset-yaml", f"dataset.yaml: {fault}", "mend this line"
    elif proposal:
        kind, what = "no-dataset-yaml", "no dataset.yaml says what mask values mean"
        cure = f"accept the one below: atrous data check {shlex.quote(str(survey.root))} --write"
    else:
        kind, what = "no-dataset-yaml", "no dataset.yaml says what mask values mean"
        cure = f"write one beside images/ and masks/, with lines such as {_LINE}"
    return proposal, proposal, [Finding(kind, "error", what, cure)]


def _plan_findings(survey: Survey, plan: Plan, learnt: list[str]) -> list[Finding]:
    found = [one for split in learnt for one in size_findings(survey, split, plan.crop_size)]
    sizes = [image.size for split in learnt for image, _ in survey.pairs(split) if not image.fault]
    crop = plan.crop_size or next(iter(sizes), None)
    if crop and plan.rates:
        found += rate_findings(
            crop,
            output_stride=plan.output_stride,
            rates=plan.rates,
            kernel_size=plan.kernel_size,
        )
    return found


def _no_such_split(name: str, present: dict[str, Files]) -> Finding:
    what = f"no split '{name}'; there is {', '.join(present)}"
    return Finding("no-split", "error", what, f"make images/{name} and masks/{name}")


def _is_sample(survey: Survey) -> bool:
    return _read(survey) < _present(survey)


def _sampled(survey: Survey) -> list[Finding]:
    if not _is_sample(survey):
        return []
    what = f"read {_read(survey):,} of {number_of(_present(survey), 'file')}, spread evenly"
    return [
        Finding(
            "sampled", "note", what, f"atrous data check {shlex.quote(str(survey.root))} reads all"
        )
    ]


def _read(survey: Survey) -> int:
    return len(survey.images) + len(survey.masks)


def _present(survey: Survey) -> int:
    return num_files(survey.splits)
