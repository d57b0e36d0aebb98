"""`atrous bench`: engines and other libraries side by side, on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from atrous.cli.console import messages, plain, progress, results
from atrous.cli.options import Flag
from atrous.errors import UsageError

if TYPE_CHECKING:
    from atrous.bench import Choice, Comparison

_LARGEST = 65535


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Time ways of computing one network in turn on the processor, and compare what they give.

    Example: atrous bench --model random:torchvision/deeplabv3_resnet50 --against torchvision
    """

    model: Annotated[
        str,
        arg(
            metavar="NAME|FILE",
            help="A model that `atrous models` lists, or a model file; or with random weights, "
            "without a download: random:torchvision/..., random:smp/ARCHITECTURE_ENCODER.",
        ),
    ] = "camvid-lite0"
    size: Annotated[
        str,
        arg(metavar="HxW", help="Rows and columns of the pictures; smp takes multiples of 16."),
    ] = "513x513"
    engines: Annotated[
        str,
        arg(
            metavar="WORD,...",
            help="torch, optimized, compiled, onnxruntime, openvino; or all. Of a peer too.",
        ),
    ] = "torch,optimized,openvino"
    precision: Annotated[str, arg(metavar="WORD,...", help="fp32, bf16, int8 (openvino).")] = (
        "fp32,bf16"
    )
    against: Annotated[
        str,
        arg(
            metavar="WORD,...",
            help="Other libraries' own networks with the same weights: torchvision, smp.",
            help_behavior_hint="",
        ),
    ] = ""
    photo: Annotated[
        tuple[str, ...],
        arg(
            metavar="FILE...",
            help="Photographs to compare labels on, brought to the size.",
            help_behavior_hint="(default: the project's examples)",
        ),
    ] = ()
    rounds: Annotated[int, arg(metavar="N", help="How often each way is timed.")] = 9
    threads: Annotated[
        int | None,
        arg(metavar="N", help="Threads.", help_behavior_hint="(default: as many as torch takes)"),
    ] = None
    batch: Annotated[int, arg(metavar="N", help="Pictures at once.")] = 1
    memory: Flag = False
    """Measure the peak memory of each way too, in a process of its own."""
    json: Annotated[
        Path | None, arg(metavar="FILE", help="Write the figures.", help_behavior_hint="")
    ] = None
    plot: Annotated[
        Path | None,
        arg(metavar="FILE.svg", help="Write a drawing of the ratios.", help_behavior_hint=""),
    ] = None

    def run(self) -> None:
        """Measure, print the table, and write the files that are asked for."""
        # Read when torch is loaded: idle threads of one way would slow down the next.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        size = _parse_size(self.size)
        if self.plot is not None and self.plot.suffix != ".svg":
            raise UsageError(f"{self.plot}: a plot is written as .svg")
        from atrous.bench import bench

        choice = self._choice(size)
        console = messages()
        with progress("bench", choice.rounds) as advance:
            found = bench(
                choice,
                memory=self.memory,
                say=lambda line: console.print(line, soft_wrap=True),
                after_round=advance,
            )
        _show(found)
        self._write(found)

    def _choice(self, size: tuple[int, int]) -> "Choice":
        from atrous.bench import Choice

        return Choice(
            model=self.model,
            size=size,
            batch=self.batch,
            engines=_words(self.engines),
            precisions=_words(self.precision),
            against=_words(self.against),
            photos=self.photo,
            rounds=self.rounds,
            threads=self.threads,
        )

    def _write(self, found: "Comparison") -> None:
        from atrous.bench.chart import draw
        from atrous.files import write_json, write_text

        written = []
        if self.json is not None:
            written.append(write_json(self.json, found.to_json()))
        if self.plot is not None:
            written.append(write_text(self.plot, draw(found)))
        if written:
            results().print(f"\nwrote {', '.join(map(plain, written))}", soft_wrap=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(s.isdecimal() and 1 <= int(s) <= _LARGEST for s in sides):
        raise UsageError(
            f"--size expects rows x columns from 1 to {_LARGEST}, such as 513x513, got {text!r}"
        )
    return int(sides[0]), int(sides[1])


def _show(found: "Comparison") -> None:
    from rich.table import Table

    from atrous.bench.table import cells, notes, skipped

    shown = Table(box=None, pad_edge=False, header_style="bold")
    titles, *lines = cells(found)
    for number, title in enumerate(titles):
        shown.add_column(title, justify="left" if number == 0 else "right", no_wrap=True)
    for line in lines:
        shown.add_row(*line)
    console = results()
    console.print(f"{plain(found.choice.model)}: {plain(found.network)}")
    console.print(f"{found.conditions}; {plain(found.machine['processor'])}\n", soft_wrap=True)
    console.print(shown)
    for line in skipped(found):
        console.print(plain(line), soft_wrap=True)
    console.print()
    for line in notes(found):
        console.print(line, soft_wrap=True)
