"""All ways of a choice: opened, compared with the plain network, and timed in turn."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from atrous.bench.agreement import Agreement, Reference
from atrous.bench.choice import Choice
from atrous.bench.comparison import Comparison, Row
from atrous.bench.interleaved import Times, race, ratios
from atrous.bench.machine import machine_facts
from atrous.bench.memory import peak_mib
from atrous.bench.networks import is_random, load_network
from atrous.bench.pictures import open_pictures
from atrous.bench.roofline import TYPES, Product, fastest_product, useful_multiply_adds
from atrous.bench.ways import Opened, Way
from atrous.errors import AtrousError, ResourceError, UsageError
from atrous.models import SegmentationModel

Say = Callable[[str], object]


class _Found(NamedTuple):
    """A way that computes."""

    way: Way
    opened: Opened
    agreement: Agreement


def bench(
    choice: Choice,
    *,
    memory: bool = False,
    say: Callable[[str], object] = lambda _: None,
    after_round: Callable[[], object] = lambda: None,
) -> Comparison:
    """Compare the ways of a choice on the processor of this machine.

    Args:
        choice: What to measure.
        memory: Whether to measure the peak memory of each way, in a process of its own.
        say: Told in one line what is done, where it takes long.
        after_round: Called when all ways have been timed once more.

    Raises:
        AtrousError: The network or a photograph cannot be had, or no way computes it.

    Example:
        >>> choice = Choice(size=(32, 32), engines=("torch",), precisions=("fp32",), rounds=1)
        >>> [row.name for row in bench(choice).rows]
        ['atrous torch fp32']
    """
    with _threads(choice.threads), torch.no_grad():
        facts, model = machine_facts(), load_network(choice.model)
        pictures = open_pictures(
            choice.photos, size=choice.size, batch=choice.batch, noise=is_random(choice.model)
        )
        every, useful = useful_multiply_adds(model, _input_shape(choice, model))
        reference = Reference(model, pictures.batches)
        found, skipped = _open(choice.ways(), model, reference, say)
        names = {one.way.precision for one in found} & TYPES.keys()
        products = {name: fastest_product(name) for name in names}
        say(f"timing {len(found)} ways, in turn")
        ways = {one.way.name: partial(one.opened.labels, reference.batches[0]) for one in found}
        times = race(ways | products, rounds=choice.rounds, after_round=after_round)
        rows = _rows(found, times, useful, products)
        if memory:
            rows = [_with_memory(row, choice, say) for row in rows]
    return Comparison(
        choice=choice,
        network=_described(model),
        pictures=pictures.what,
        rows=tuple(rows),
        skipped=skipped,
        machine=facts,
        gigaflops={
            name: round(2e-9 * product.multiply_adds / statistics.median(times[name]), 1)
            for name, product in sorted(products.items())
        },
        multiply_adds=every,
        useful_multiply_adds=useful,
        largest_logit=reference.largest_logit,
    )


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Let torch, and what takes its number from it, use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _open(
    ways: Iterable[Way], model: SegmentationModel, reference: Reference, say: Say
) -> tuple[list[_Found], dict[str, str]]:
    """Return the ways that compute, and for the others why they do not."""
    found, skipped = [], {}
    for way in ways:
        say(f"opening {way.name}")
        try:
            opened = way.open(model, reference.batches[0])
            found.append(_Found(way, opened, reference.compare(opened)))
        except Exception as error:  # of a library, on its way; the others are measured all the same
            skipped[way.name] = _reason(error)
            say(f"skipped {way.name}: {skipped[way.name]}")
    if not found:
        raise UsageError("; ".join(f"{name}: {why}" for name, why in skipped.items()))
    return found, skipped


def _reason(error: Exception) -> str:
    """Return what an error says in one line; of those that are not ours, the kind too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, AtrousError) and lines:
        return lines[0]
    return ": ".join([type(error).__name__, *lines[:1]])


def _rows(
    found: Iterable[_Found], times: Times, useful: int, products: Mapping[str, Product]
) -> list[Row]:
    table = ratios(times)
    rows = []
    for way, _, agreement in found:
        rows.append(
            Row(
                way.name,
                **table[way.name],
                equal_labels=agreement.equal_labels,
                logit_difference=agreement.logit_difference,
                roofline=_share(way, times, useful, products),
            )
        )
    return rows


def _share(way: Way, times: Times, useful: int, products: Mapping[str, Product]) -> float | None:
    """Return what part of a product's multiply-adds in a second are the useful ones of a way."""
    if way.precision not in products:
        return None
    product = products[way.precision]
    shares = [
        (useful / own) / (product.multiply_adds / best)
        for own, best in zip(times[way.name], times[way.precision], strict=True)
    ]
    return round(statistics.median(shares), 4)


def _with_memory(row: Row, choice: Choice, say: Say) -> Row:
    say(f"memory of {row.name}")
    try:
        return replace(row, peak_mib=round(peak_mib(choice, row.name), 1))
    except ResourceError as error:  # the times are found, and worth more than this
        say(f"left out: {error}")
        return row


def _input_shape(choice: Choice, model: SegmentationModel) -> tuple[int, ...]:
    channels = model.blueprint.in_channels
    if channels != 3:
        raise UsageError(f"{choice.model}: takes {channels} channels, and pictures have 3")
    return (choice.batch, channels, *choice.size)


def _described(model: SegmentationModel) -> str:
    made = model.blueprint
    return f"{made.architecture}, {made.backbone}, output stride {model.output_stride}"
