"""Findings about splits: pictures that are in two of them, classes that are in none."""

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from atrous.data.doctor.findings import Finding, Place, below, number_of, set_aside
from atrous.data.doctor.meaning import Meaning
from atrous.data.doctor.survey import Survey
from atrous.data.joined import split_names


class _Copy(NamedTuple):
    """A picture that was seen before, and what was seen then."""

    split: str
    place: Place
    masks: list[Place]
    first_split: str


def overlap_findings(survey: Survey) -> list[Finding]:
    """Return which pictures are the same, pixel by pixel, as one of another or their own split.

    Of two copies the one outside of "train" is named: taken out, it leaves the training as it is.
    """
    copies = list(_copies(survey))
    found = []
    if across := [copy for copy in copies if copy.split != copy.first_split]:
        what = f"{number_of(len(across), 'image')} also in another split"
        taken = [part for copy in across[:5] for part in (copy.place, *copy.masks)]
        cure = f"scores on them prove nothing: {set_aside(survey.root, taken)}"
        places = [copy.place for copy in across]
        found.append(Finding.at("split-overlap", "error", places, what=what, cure=cure))
    if within := [copy.place for copy in copies if copy.split == copy.first_split]:
        what = f"{number_of(len(within), 'image')} more than once in a split"
        cure = "harmless if meant; else remove the copies"
        found.append(Finding.at("copies", "note", within, what=what, cure=cure))
    return found


def seen_findings(train_split: str, val_split: str) -> list[Finding]:
    """Return a warning where a split is learnt from and measured on: said, so it may be meant."""
    seen = [split for split in split_names(val_split) if split in split_names(train_split)]
    if not seen:
        return []
    what = f"{', '.join(seen)} is learnt from and measured on"
    cure = "its scores prove nothing; measure the recipe with data.train_split=train first"
    return [Finding("val-is-learnt", "warning", what, cure)]


def _copies(survey: Survey) -> Iterator[_Copy]:
    seen: dict[bytes, tuple[str, str]] = {}
    for split in sorted(survey.splits, key=lambda split: (split != "train", split)):
        files = survey.splits[split]
        for name, (path, *_) in files.images.items():
            facts = survey.images.get(path)
            if facts is None or facts.fault:
                continue
            file = below(survey.root, path)
            first_split, first = seen.setdefault(facts.digest, (split, file))
            if first != file:
                masks = [Place(below(survey.root, mask)) for mask in files.masks.get(name, ())]
                yield _Copy(split, Place(file, f"is {first}"), masks, first_split)


def class_findings(
    survey: Survey, meaning: Meaning, trained_on: Sequence[str] = ("train",)
) -> list[Finding]:
    """Return which classes have no pixel in a split, or in no split at all."""
    names = meaning.scheme.names
    counts = {split: class_counts(survey, meaning, split) for split in survey.splits}
    counts = {split: count for split, count in counts.items() if count.any()}
    if not counts:
        return []
    nowhere = np.sum(list(counts.values()), axis=0) == 0
    found = []
    if np.any(nowhere):
        unused = _listed([name for name, lacks in zip(names, nowhere, strict=True) if lacks])
        cure = "dataset.yaml: remove these lines, or check their value and color"
        found.append(Finding("class-unused", "warning", f"no mask has {unused}", cure))
    for split, count in counts.items():
        lacking = [
            n for n, c, gone in zip(names, count, nowhere, strict=True) if not c and not gone
        ]
        if lacking:
            in_training = split in trained_on
            cure = (
                f"add images with {_listed(lacking)} to {shlex.quote(split)}; it is never learnt"
                if in_training
                else "it has no score there"
            )
            severity = "warning" if in_training else "note"
            what = f"{split} has no pixel of {_listed(lacking)}"
            found.append(Finding("class-missing", severity, what, cure))
    return found


def class_counts(survey: Survey, meaning: Meaning, split: str) -> np.ndarray:
    """Return (K,) int64: the pixels of each class in the good masks of a split."""
    masks = [mask for _, mask in survey.pairs(split) if not mask.fault and not mask.lossy]
    return meaning.counts(masks)[: len(meaning.scheme.classes)]


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return ", ".join(quoted[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
