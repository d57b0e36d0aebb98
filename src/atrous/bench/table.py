"""The table of a comparison, in words."""

from atrous.bench.comparison import Comparison, Row

_HEADER = ("way", "ms", "times", "range", "same labels", "logits off", "roofline")


def cells(found: Comparison) -> list[tuple[str, ...]]:
    """Return the titles, and a line for each way; memory is the last, where it was measured.

    `times` is how many times as fast as the first way it is; `logits off` the largest difference
    between two logits.
    """
    if all(row.peak_mib is None for row in found.rows):
        return [_HEADER, *map(_cells, found.rows)]
    peaks = ["-" if row.peak_mib is None else f"{row.peak_mib:.0f}" for row in found.rows]
    lines = [(*_cells(row), peak) for row, peak in zip(found.rows, peaks, strict=True)]
    return [(*_HEADER, "MiB"), *lines]


def notes(found: Comparison) -> list[str]:
    """Return what must be known to read the table, in lines."""
    labels = "noise under random weights, which says little" if found.is_random else found.pictures
    return [
        f"times: to {found.rows[0].name}, in each round; the median and the range",
        *_best(found),
        f"same labels: pixels with the class that the plain network gives in float32; {labels}",
        f"logits off: the largest difference to that network's, of {found.largest_logit:.3g}",
        *([_roofline(found)] if found.gigaflops else []),
        *([_busy(found)] if found.machine.get("load", 0) > found.machine["threads"] else []),
    ]


def skipped(found: Comparison) -> list[str]:
    """Return a line for each reason, with the ways that were not measured for it."""
    ways: dict[str, list[str]] = {}
    for name, why in found.skipped.items():
        ways.setdefault(why, []).append(name)
    return [f"skipped {', '.join(names)}: {why}" for why, names in ways.items()]


def percent(share: float) -> str:
    """Return a share in percent, 100 only where it is all.

    Example:
        >>> percent(1.0), percent(0.99999), percent(0.5)
        ('100 %', '99.99 %', '50.00 %')
    """
    return "100 %" if share == 1 else f"{int(1e4 * share) / 100:.2f} %"


def _cells(row: Row) -> tuple[str, ...]:
    off = row.logit_difference
    return (
        row.name,
        f"{1000 * row.seconds:.1f}",
        f"{row.speedup:.2f}",
        f"{row.speedup_min:.2f} to {row.speedup_max:.2f}",
        percent(row.equal_labels),
        "-" if off is None else f"{off:.1e}",
        "-" if row.roofline is None else f"{100 * row.roofline:.0f} %",
    )


def _best(found: Comparison) -> list[str]:
    """Say how the fastest way of atrous and the fastest of the peers compare, if there are both."""
    own = [row for row in found.rows if row.is_own]
    peers = [row for row in found.rows if not row.is_own]
    if not own or not peers:
        return []
    ours, theirs = (min(rows, key=lambda row: row.seconds) for rows in (own, peers))
    ratio = theirs.seconds / ours.seconds
    return [f"best: {ours.name} is {ratio:.2f} times as fast as the best peer, {theirs.name}"]


def _roofline(found: Comparison) -> str:
    products = ", ".join(f"{name} {speed:,.0f}" for name, speed in found.gigaflops.items())
    share = found.useful_multiply_adds / found.multiply_adds
    return (
        f"roofline: of what a matrix product reaches beside it, in GFLOP/s: {products}; of "
        f"{found.multiply_adds / 1e9:.2f} G multiply-adds count the {percent(share)} that multiply "
        "no padding"
    )


def _busy(found: Comparison) -> str:
    load, cores = found.machine["load"], found.machine["cores"]
    return f"the machine was busy: load {load:g} on {cores} cores, so the times are not its best"
