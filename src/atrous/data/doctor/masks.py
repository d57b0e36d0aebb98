"""Findings about the values of masks: what is in no class, altered, or all ignored."""

from collections import Counter

import numpy as np

from atrous.data.doctor.findings import Finding, Place, below, number_of
from atrous.data.doctor.meaning import UNKNOWN, Meaning
from atrous.data.doctor.survey import MaskFacts, Survey
from atrous.data.labels import IGNORE_INDEX

BINARY_LINE = "classes: [{name: background, value: 0}, {name: foreground, value: 255}]"

_FEW = 16  # distinct values; strays of more kinds than that come from smoothing or compression
_MUCH = 0.5  # share of ignored pixels that is worth a warning


def mask_findings(survey: Survey, meaning: Meaning) -> list[Finding]:
    """Return what is wrong with the values of masks under a scheme."""
    good = [mask for mask in survey.masks.values() if not mask.fault and not mask.lossy]
    bare = [entry.name for entry in meaning.scheme.classes if entry.color is None]
    colored = [mask for mask in good if mask.form == "colour"] if bare else []
    binary = _binary(good, meaning)
    readable = [mask for mask in good if mask.form == "grey" or not bare]
    judged = [] if binary else readable
    return [
        *lossy_findings(survey),
        *_colored(survey, colored, bare),
        *([_binary_finding(survey, binary)] if binary else []),
        *_outside(survey, judged, meaning),
        *_ignored(survey, judged, meaning),
    ]


def color_words(value: int) -> str:
    """Return a colour 0xRRGGBB as `dataset.yaml` writes it.

    Example:
        >>> color_words(0x804080)
        '[128, 64, 128]'
    """
    return str([value >> 16, value >> 8 & 255, value & 255])


def is_binary(values: np.ndarray) -> bool:
    """Tell whether values are 0 and 255 and no others."""
    return len(values) > 0 and 255 in values and bool(np.isin(values, (0, 255)).all())


def lossy_findings(survey: Survey) -> list[Finding]:
    """Return which masks are of a format that alters values, whatever they mean."""
    masks = [mask for mask in survey.masks.values() if mask.lossy]
    if not masks:
        return []
    places = [
        Place(below(survey.root, mask.path), f"{mask.distinct:,} distinct values") for mask in masks
    ]
    what = f"{number_of(len(masks), 'mask')} in JPEG or WebP, which alters values"
    cure = "make these masks anew, as PNG, from the source of the labels"
    return [Finding.at("mask-lossy", "error", places, what=what, cure=cure)]


def _colored(survey: Survey, masks: list[MaskFacts], bare: list[str]) -> list[Finding]:
    if not masks:
        return []
    totals: Counter[int] = Counter()
    for mask in masks:
        totals.update(dict(zip(mask.values.tolist(), mask.counts.tolist(), strict=True)))
    colors = [color_words(value) for value, _ in totals.most_common()]
    more = f" and {len(colors) - 6} more" if len(colors) > 6 else ""
    what = (
        f"{number_of(len(masks), 'mask')} of colours, {', '.join(colors[:6])}{more}, but class "
        f"'{bare[0]}' has no color"
    )
    cure = f"dataset.yaml: give each class its color, as in {{name: {bare[0]}, value: 0, color: "
    places = [Place(below(survey.root, mask.path), f"{mask.distinct} colours") for mask in masks]
    return [Finding.at("mask-colours", "error", places, what=what, cure=f"{cure}{colors[0]}}}")]


def _binary(masks: list[MaskFacts], meaning: Meaning) -> list[MaskFacts]:
    """Return the masks of 0 and 255 if all are such, and the scheme takes 255 for no class."""
    if 0 <= meaning.label("grey", 255) < IGNORE_INDEX:
        return []
    grey = [mask for mask in masks if mask.form == "grey"]
    binary = [mask for mask in grey if is_binary(mask.values)]
    # Beside them masks of nothing but 0 prove nothing else.
    return binary if all(np.isin(mask.values, (0, 255)).all() for mask in grey) else []


def _binary_finding(survey: Survey, masks: list[MaskFacts]) -> Finding:
    what = f"{number_of(len(masks), 'mask')} of 0 and 255 only, and 255 is no class"
    places = [Place(below(survey.root, mask.path)) for mask in masks]
    cure = f"dataset.yaml: {BINARY_LINE}"
    return Finding.at("binary-masks", "error", places, what=what, cure=cure)


def _outside(survey: Survey, masks: list[MaskFacts], meaning: Meaning) -> list[Finding]:
    """Find values of no class; the masks with the most of them come first."""
    totals: Counter[tuple[str, int]] = Counter()
    worst: list[tuple[int, Place]] = []
    smoothed = False
    for mask in masks:
        outside = meaning.labels(mask) == UNKNOWN
        if not outside.any():
            continue
        values, counts = mask.values[outside].tolist(), mask.counts[outside].tolist()
        here = {(mask.form, value): n for value, n in zip(values, counts, strict=True)}
        totals.update(here)
        smoothed |= len(values) > _FEW
        worst.append((-sum(counts), Place(below(survey.root, mask.path), _listed(Counter(here)))))
    if not worst:
        return []
    places = [place for _, place in sorted(worst)]
    what = f"{number_of(len(places), 'mask')} with values of no class: {_listed(totals)}"
    cure = _cure_of_outside(totals, meaning, smoothed=smoothed)
    return [Finding.at("values-outside", "error", places, what=what, cure=cure)]


def _cure_of_outside(totals: Counter[tuple[str, int]], meaning: Meaning, *, smoothed: bool) -> str:
    if smoothed:
        return (
            "the masks were resized with smoothing, or were JPEG once; make them anew from the "
            "source of the labels, resizing to the nearest value"
        )
    values = [f"0x{v:06X}" if form == "colour" else str(v) for form, v in sorted(totals)]
    ignored = [str(value) for value in meaning.scheme.ignore]
    return (
        f"dataset.yaml: ignore: [{', '.join(ignored + values)}], or list them under classes; "
        "single stray pixels are better mended in the masks"
    )


def _ignored(survey: Survey, masks: list[MaskFacts], meaning: Meaning) -> list[Finding]:
    totals = meaning.counts(masks)
    share = totals[IGNORE_INDEX] / max(1, totals.sum())
    found = []
    empty = [
        Place(below(survey.root, mask.path))
        for mask in masks
        if (meaning.labels(mask) == IGNORE_INDEX).all()
    ]
    if empty:
        what = f"{number_of(len(empty), 'mask')} ignored from edge to edge"
        cure = "nothing is learnt from them; label them, or take the pairs out"
        found.append(Finding.at("all-ignored", "warning", empty, what=what, cure=cure))
    if share > 0:
        what = f"{100 * share:.1f} % of all pixels are ignored"
        cure = "" if share < _MUCH else "look into 'ignore' of dataset.yaml: should they count?"
        severity = "note" if share < _MUCH else "warning"
        found.append(Finding("ignored-share", severity, what, cure))
    return found


def _listed(totals: Counter[tuple[str, int]]) -> str:
    """Return the three most frequent values with their numbers of pixels."""
    shown = [
        f"{value:#08x} at {count:,}" if form == "colour" else f"{value} at {count:,}"
        for (form, value), count in totals.most_common(3)
    ]
    more = f" and {len(totals) - 3} more" if len(totals) > 3 else ""
    return f"{', '.join(shown)}{more} pixels"
