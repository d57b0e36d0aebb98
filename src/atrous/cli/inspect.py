"""`atrous inspect`: what a module or a model is made of, and what it costs on a given size."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from atrous.cli.console import plain, results
from atrous.cli.options import Flag
from atrous.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from atrous.inspect import LayerRow, LayerTable, TapRow

_MODULES = ("aspp",)
_OF_MODULES = ("in_channels", "out_channels", "num_classes", "rates", "bias")
_LARGEST = 65535


class _Subject(NamedTuple):
    """What is looked at, and the shape of its input."""

    title: str
    module: "nn.Module"
    input_shape: tuple[int, int, int, int]
    is_whole: bool


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show the layers of a module or a model: output shapes, parameters, memory, useful taps.

    Example: atrous inspect aspp --in-channels 512 --num-classes 19 --size 64x128
    """

    target: Positional[
        Annotated[
            str,
            arg(
                metavar="MODULE|MODEL",
                help="aspp, a model that `atrous models` lists, or a model file.",
            ),
        ]
    ]
    size: Annotated[
        str,
        arg(
            metavar="HxW",
            help="Rows and columns: of the map in cells for a module, of the image for a model.",
            help_behavior_hint="(default: 65x65 for a module, 513x513 for a model)",
        ),
    ] = ""
    in_channels: Annotated[int, arg(metavar="C", help="Channels of a module's map.")] = 2048
    out_channels: Annotated[int, arg(metavar="D", help="Channels of a module's branches.")] = 256
    num_classes: Annotated[
        int | None,
        arg(
            metavar="K",
            help="End a module with a classifier of so many classes.",
            help_behavior_hint="(default: no classifier)",
        ),
    ] = None
    rates: Annotated[
        tuple[str, ...],
        arg(metavar="RATE...", help="A module's rates, in cells: 6 12 18, or 6,12,18."),
    ] = ("6", "12", "18")
    bias: Flag = True
    """Leave out the bias of a module's convolutions."""
    json: Flag = False
    """Print JSON, for other programs to read."""

    def run(self) -> None:
        """Print the table, or its JSON."""
        from atrous.inspect import layer_table

        subject = self._module() if self.target in _MODULES else self._model()
        table = layer_table(subject.module, subject.input_shape)
        if self.json:
            _print_json(table)
        else:
            _print(subject, table)

    def _module(self) -> _Subject:
        import torch

        from atrous.nn import ASPP

        size = _parse_size(self.size or "65x65")
        rates = _parse_rates(self.rates)
        for option in ("in_channels", "out_channels", "num_classes"):
            number = getattr(self, option)
            if number is not None and not 1 <= number <= _LARGEST:
                name = option.replace("_", "-")
                raise UsageError(f"--{name} must be from 1 to {_LARGEST}, got {number}")
        with torch.device("meta"):
            module = ASPP(
                self.in_channels,
                self.out_channels,
                rates=rates,
                num_classes=self.num_classes,
                bias=self.bias,
            )
        title = (
            f"{self.target}, rates {', '.join(map(str, rates))}\n"
            f"on a map of {self.in_channels} channels and {_words(size)} cells"
        )
        return _Subject(title, module, (1, self.in_channels, *size), is_whole=False)

    def _model(self) -> _Subject:
        from atrous.weights import load_model

        try:
            model = load_model(self.target)
        except UsageError as error:
            raise UsageError(f"target {self.target!r} is unknown; use {_known()}") from error
        for option in _OF_MODULES:
            if getattr(self, option) != getattr(Inspect, option):
                name = option.replace("_", "-").replace("bias", "no-bias")
                raise UsageError(f"--{name} builds a module; {self.target} is built already")
        size = _parse_size(self.size or "513x513")
        made, stride = model.blueprint, model.output_stride
        title = (
            f"{plain(self.target)}: {made.architecture}, {made.backbone}, output stride {stride}\n"
            f"on an image of {_words(size)} pixels"
            f"{_provenance(self.target)}"
        )
        return _Subject(title, model, (1, made.in_channels, *size), is_whole=True)


def _provenance(target: str) -> str:
    """Return lines on the library that a model file was converted from; empty for others."""
    from atrous.weights.model_file import read_facts

    file = Path(target)
    converted = read_facts(file).training.get("converted") if file.is_file() else None
    if not isinstance(converted, dict):
        return ""
    origin, verdict = (plain(converted.get(key, "unknown")) for key in ("origin", "verdict"))
    checked, _, figures = verdict.partition(": ")
    return f"\nconverted from {origin}, {checked}\n{figures}".rstrip()


def _known() -> str:
    from atrous.weights import zoo

    names = (*_MODULES, *(entry.name for entry in zoo.available()))
    return f"{', '.join(names)} or a model file (.safetensors)"


def _parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(map(_is_length, sides)):
        raise UsageError(
            f"--size expects rows x columns from 1 to {_LARGEST}, such as 64x128, got {text!r}"
        )
    return int(sides[0]), int(sides[1])


def _parse_rates(words: Iterable[str]) -> tuple[int, ...]:
    rates = [rate for word in words for rate in word.split(",") if rate]
    if not rates or not all(map(_is_length, rates)):
        raise UsageError(
            f"--rates expects whole numbers from 1 to {_LARGEST}, such as 6 12 18, "
            f"got {' '.join(words)!r}"
        )
    return tuple(map(int, rates))


def _is_length(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text) <= _LARGEST


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _print_json(table: "LayerTable") -> None:
    import json

    results().print(json.dumps(table.to_json(), indent=2), soft_wrap=True)


def _print(subject: _Subject, table: "LayerTable") -> None:
    frozen = table.parameters - table.trainable
    trained = f"{table.trainable:,} trainable" if frozen else "all trainable"
    console = results()
    console.print(f"{subject.title}\n", soft_wrap=True)
    console.print(_layers(table, by_part=subject.is_whole))
    console.print(f"\nparameters  {table.parameters:,}, {trained}")
    console.print(f"output      {table.output_shape}")
    console.print(Text("\nmemory in MB of 2**20 bytes, float32", "bold"))
    console.print(_memory(table))
    for size, rows in groupby(table.tap_rows, lambda row: row.map_size):
        title = f"\ntaps inside the map of {_words(size)} cells, in the mean"
        console.print(Text(title, "bold"))
        console.print(_taps(rows))


def _layers(table: "LayerTable", *, by_part: bool) -> Table:
    """Return the rows; of a whole network, under a line for each of its parts."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("layer", overflow="fold")
    grid.add_column("kind", overflow="fold")
    grid.add_column("output", no_wrap=True)
    grid.add_column("parameters", justify="right", no_wrap=True)
    for _, group in groupby(table.rows, lambda row: row.name.split(".")[0] if by_part else ""):
        rows = tuple(group)
        part = _shared_name(rows) if by_part and len(rows) > 1 else ""
        if part:
            grid.add_row(Text(part, "bold"), "", "", f"{sum(row.parameters for row in rows):,}")
        for row in rows:
            name = f"  {row.name.removeprefix(part + '.')}" if part else row.name
            grid.add_row(name, row.kind, str(row.output_shape), f"{row.parameters:,}")
    return grid


def _shared_name(rows: Iterable["LayerRow"]) -> str:
    """Return the part of the network that all rows stand in, such as `backbone.network`."""
    levels = zip(*(row.name.split(".")[:-1] for row in rows), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def _memory(table: "LayerTable") -> Table:
    return _lines(
        (part.replace("_", " "), f"{megabytes:,.2f}") for part, megabytes in table.megabytes.items()
    )


def _taps(rows: Iterable["TapRow"]) -> Table:
    lines = []
    for row in rows:
        rate = "x".join(map(str, row.rate if len(set(row.rate)) > 1 else row.rate[:1]))
        share = f"{100 * row.useful / row.taps:.1f} %"
        lines.append((f"rate {rate}", f"{row.useful:.2f} of {row.taps}", share))
    return _lines(lines)


def _lines(lines: Iterable[tuple[str, ...]]) -> Table:
    """Return indented lines of a name and its figures."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    for name, *figures in lines:
        grid.add_row(f"  {name}", *(Text(figure, justify="right") for figure in figures))
    return grid
