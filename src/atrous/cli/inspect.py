"""`atrous inspect`: what a network is made of, sees and costs on a given size; what a run gave."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from tyro.conf import Positional, arg

from atrous.cli.console import messages, plain, results
from atrous.cli.inspect_runs import show_runs
from atrous.cli.inspect_table import show
from atrous.cli.options import Flag
from atrous.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from atrous.inspect import Inspection

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
    """Show what a network is made of, what its pyramid sees and what it costs; or what a run gave.

    Example: atrous inspect camvid-lite0 --size 360x480 --html camvid-lite0.html
    """

    targets: Positional[
        Annotated[
            tuple[str, ...],
            arg(
                name="target",
                metavar="MODULE|MODEL|RUN [RUN]",
                help="aspp, a model that `atrous models` lists, a model file, or one or more run "
                "directories.",
                help_behavior_hint="",
            ),
        ]
    ]
    size: Annotated[
        str,
        arg(
            metavar="HxW",
            help="Rows and columns: of the map in cells for a module, of the image for a model; "
            "a photo is brought to it.",
            help_behavior_hint="(default: 65x65 for a module, 513x513 or the photo's for a model)",
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
    photo: Annotated[
        Path | None,
        arg(metavar="FILE", help="Look at this photograph through a model.", help_behavior_hint=""),
    ] = None
    field: Flag = False
    """Measure effective receptive fields, as --photo and --html do."""
    html: Annotated[
        Path | None,
        arg(metavar="FILE", help="Write a page with drawings.", help_behavior_hint=""),
    ] = None
    graph: Annotated[
        Path | None,
        arg(metavar="FILE", help="Write the graph of a network as SVG.", help_behavior_hint=""),
    ] = None
    json: Flag = False
    """Print JSON, for other programs to read."""

    @property
    def target(self) -> str:
        """The one thing that is looked at."""
        return self.targets[0]

    def run(self) -> None:
        """Print tables, or JSON, and write the page that is asked for."""
        if not self.targets:
            raise UsageError(f"name what to look at: {_known()}")
        if len(self.targets) > 1 or (self.target not in _MODULES and _is_run(self.target)):
            self._refuse_options_of_networks()
            show_runs(self.targets, self.html, as_json=self.json)
        else:
            self._show_network()

    def _show_network(self) -> None:
        from atrous.inspect import inspect_network

        photo = self._read_photo()
        subject = self._module() if self.target in _MODULES else self._model(photo)
        found = inspect_network(
            subject.module,
            subject.input_shape,
            title=subject.title,
            measure=self.field or self.html is not None,
            photo=photo,
        )
        if self.json:
            _print_json(found)
        else:
            show(found, results(), by_part=subject.is_whole)
        self._write(found)

    def _write(self, found: "Inspection") -> None:
        from atrous.inspect.page import write_graph, write_page

        console = messages() if self.json else results()
        for write, path in ((write_page, self.html), (write_graph, self.graph)):
            if path is not None:
                console.print(f"\n{plain(write(found, path))}", soft_wrap=True)

    def _read_photo(self) -> "np.ndarray | None":
        from atrous.data import read_image
        from atrous.inspect.photograph import fit_photo

        if self.photo is None:
            return None
        if self.target in _MODULES:
            raise UsageError(f"--photo needs a model; {self.target} has no weights")
        return fit_photo(read_image(self.photo), _parse_size(self.size) if self.size else None)

    def _refuse_options_of_networks(self) -> None:
        for option in (*_OF_MODULES, "size", "photo", "field", "graph"):
            if getattr(self, option) != getattr(Inspect, option):
                name = option.replace("_", "-").replace("bias", "no-bias")
                raise UsageError(f"--{name} is for a module or a model, not for a run")

    def _module(self) -> _Subject:
        import torch

        from atrous.nn import ASPP

        size, rates = _parse_size(self.size or "65x65"), _parse_rates(self.rates)
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

    def _model(self, photo: "np.ndarray | None") -> _Subject:
        from atrous.weights import load_model

        try:
            model = load_model(self.target)
        except UsageError as error:
            raise UsageError(f"target {self.target!r} is unknown; use {_known()}") from error
        for option in _OF_MODULES:
            if getattr(self, option) != getattr(Inspect, option):
                name = option.replace("_", "-").replace("bias", "no-bias")
                raise UsageError(f"--{name} builds a module; {self.target} is built already")
        if photo is not None and model.blueprint.in_channels != photo.shape[2]:
            raise UsageError(
                f"--photo: a photograph has {photo.shape[2]} channels, and {plain(self.target)} "
                f"reads images of {model.blueprint.in_channels}; leave it out"
            )
        height, width = _parse_size(self.size or "513x513") if photo is None else photo.shape[:2]
        made, stride = model.blueprint, model.output_stride
        title = (
            f"{plain(self.target)}: {made.architecture}, {made.backbone}, output stride {stride}\n"
            f"on an image of {_words((height, width))} pixels"
            f"{_provenance(self.target)}"
        )
        return _Subject(title, model, (1, made.in_channels, height, width), is_whole=True)


def _is_run(target: str) -> bool:
    """Return whether a target is a folder and no model that is known by this name."""
    from atrous.weights import zoo

    return Path(target).is_dir() and target not in {entry.name for entry in zoo.available()}


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
    return f"{', '.join(names)}, a model file (.safetensors) or a run directory"


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


def _print_json(found: "Inspection") -> None:
    import json

    results().print(json.dumps(found.to_json(), indent=2), soft_wrap=True)
