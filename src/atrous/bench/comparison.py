"""What a comparison found, for a terminal, a file and a plot alike."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from atrous.bench.choice import Choice
from atrous.bench.networks import is_random


@dataclass(frozen=True)
class Row:
    """What was found of one way.

    Attributes:
        name: What it is called.
        seconds: For one batch, the median of the rounds.
        speedup: How many times as fast as the first way it is, the median of the rounds.
        speedup_min: The least of them.
        speedup_max: The largest.
        equal_labels: Share of the pixels with the class that the plain network in float32 gives.
        logit_difference: The largest to that network; None where only labels come out.
        roofline: Useful multiply-adds in a second, as a share of those of a matrix product of the
            same precision, the median of the rounds; None where that product is not measured.
        peak_mib: Memory of a process of its own; None where it was not measured.
    """

    name: str
    seconds: float
    speedup: float
    speedup_min: float
    speedup_max: float
    equal_labels: float
    logit_difference: float | None
    roofline: float | None
    peak_mib: float | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is a way of atrous, and not a peer's."""
        return self.name.startswith("atrous ")


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        choice: What was measured.
        network: Architecture, backbone and output stride, in words.
        pictures: What they were, in words.
        rows: The ways; ratios are to the first.
        skipped: {way: why it was not measured}.
        machine: Its facts.
        gigaflops: Of a matrix product, by precision, the median of the rounds; a product and its
            sum are two operations.
        multiply_adds: Of the network for one batch.
        useful_multiply_adds: Without those that multiply padding.
        largest_logit: Of the plain network, by its size.
    """

    choice: Choice
    network: str
    pictures: str
    rows: tuple[Row, ...]
    skipped: Mapping[str, str]
    machine: Mapping[str, Any]
    gigaflops: Mapping[str, float]
    multiply_adds: int
    useful_multiply_adds: int
    largest_logit: float

    @property
    def is_random(self) -> bool:
        """Whether the weights are random, so that the labels mean nothing."""
        return is_random(self.choice.model)

    @property
    def conditions(self) -> str:
        """What was computed, and how often, in one line."""
        height, width = self.choice.size
        batch = f"batches of {self.choice.batch}, " if self.choice.batch > 1 else ""
        rounds = f"{self.choice.rounds} round" + "s" * (self.choice.rounds > 1)
        threads = f"{self.machine['threads']} thread" + "s" * (self.machine["threads"] > 1)
        return f"{height} x {width}, {batch}{rounds} in turn, {threads}, {self.pictures}"

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        content: dict[str, Any] = asdict(self)
        ways = {row.pop("name"): row for row in content.pop("rows")}
        return content | {"weights": "random" if self.is_random else "trained", "ways": ways}
