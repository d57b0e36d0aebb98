"""The doctor for data sets of any kind: a few samples, read as the training will read them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from atrous.data.doctor.check import Plan, Report
from atrous.data.doctor.findings import Finding, Place, Severity, number_of
from atrous.data.doctor.rates import rate_findings
from atrous.data.doctor.splits import seen_findings
from atrous.data.labels import IGNORE_INDEX
from atrous.data.sample import Sample
from atrous.errors import AtrousError

_MOST_SAMPLES = 32  # of each split


class Samples(Protocol):
    """What is looked at of a data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def check_samples(name: str, splits: Mapping[str, Samples], plan: Plan) -> Report:
    """Read up to 32 samples, spread evenly, of each split that a training will use.

    Found are samples that cannot be read or have no label, pictures that are in both splits, and
    rates that are too wide for the crop.

    Args:
        name: What to call the data set.
        splits: The data sets by their splits.
        plan: What the training will do with them.
    """
    faults: list[Place] = []
    empty: list[Place] = []
    twice: list[Place] = []
    seen: dict[bytes, tuple[str, str]] = {}
    first = None
    for split, samples in splits.items():
        count = min(len(samples), _MOST_SAMPLES)
        for index in (number * len(samples) // count for number in range(count)):
            try:
                image, labels, file = samples[index]
            except AtrousError as error:
                faults.append(Place(split, str(error)))
                continue
            first = first or image.shape[:2]
            if (labels == IGNORE_INDEX).all():
                empty.append(Place(f"{split}/{file}"))
            digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
            other, name_there = seen.setdefault(digest, (split, file))
            if other != split:
                twice.append(Place(f"{split}/{file}", f"is {other}/{name_there}"))
    findings = [
        *_found(
            "image-unreadable", "error", faults, what="cannot be read", cure="mend or remove them"
        ),
        *_found(
            "split-overlap",
            "error",
            twice,
            what="also in another split",
            cure="scores prove nothing",
        ),
        *_found("all-ignored", "warning", empty, what="ignored from edge to edge", cure=""),
        *seen_findings(plan.train_split, plan.val_split),
    ]
    crop = plan.crop_size or first
    if crop and plan.rates:
        findings += rate_findings(
            crop, output_stride=plan.output_stride, rates=plan.rates, kernel_size=plan.kernel_size
        )
    pairs = {split: len(samples) for split, samples in splits.items()}
    return Report(Path(name), pairs, tuple(findings))


def _found(
    kind: str, severity: Severity, places: list[Place], *, what: str, cure: str
) -> list[Finding]:
    if not places:
        return []
    what = f"{number_of(len(places), 'sample')} of those looked at {what}"
    return [Finding.at(kind, severity, places, what=what, cure=cure)]
