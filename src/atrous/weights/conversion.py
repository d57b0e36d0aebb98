"""Checkpoints of other libraries as networks of atrous, with a report of what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from atrous.errors import DataError, UsageError
from atrous.models import Blueprint, Preprocessing, SegmentationModel, create_model
from atrous.weights.agreement import Agreement, compare
from atrous.weights.checkpoint import Checkpoint, open_checkpoint
from atrous.weights.model_file import build_filled
from atrous.weights.peer_networks import described, library_network
from atrous.weights.peers import PEERS, recognise
from atrous.weights.peers.names import Converted, Hints


@dataclass(frozen=True)
class Report:
    """What a conversion found.

    Attributes:
        origin: The library, by its name in `atrous.weights.peers`.
        architecture: What it is here, such as `deeplabv3`.
        settings: Keywords of `create_model`, and the conventions that differ from the papers'.
        tensors: How many were read.
        dropped: {name: why it has no place}.
        agreement: How far the logits were from the library's own; None where that is not installed.
    """

    origin: str
    architecture: str
    settings: Mapping[str, Any]
    tensors: int
    dropped: Mapping[str, str]
    agreement: Agreement | None

    @property
    def verdict(self) -> str:
        """The agreement in one line."""
        if self.agreement is None:
            return "not checked here; the tests of atrous check this origin"
        return str(self.agreement)

    def __str__(self) -> str:
        """Return the report in lines that one can read."""
        settings = ", ".join(f"{key} {_word(value)}" for key, value in self.settings.items())
        lines = [
            f"origin        {self.origin}",
            f"architecture  {self.architecture}",
            f"settings      {settings}",
            f"tensors       {self.tensors} read, {len(self.dropped)} entries dropped",
            *(f"  dropped     {name}: {reason}" for name, reason in self.dropped.items()),
            f"agreement     {self.verdict}",
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the report as what JSON can hold: a model file keeps it under `training`."""
        return {
            "origin": self.origin,
            "architecture": self.architecture,
            "settings": dict(self.settings),
            "tensors": self.tensors,
            "dropped": dict(self.dropped),
            "verdict": self.verdict,
            "agreement": self.agreement.to_json() if self.agreement else None,
        }


def convert(
    source: str | Path | Mapping[str, Any] | nn.Module,
    *,
    backbone: str | None = None,
    output_stride: int | None = None,
    rates: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    palette: Sequence[tuple[int, int, int]] | None = None,
) -> tuple[SegmentationModel, Report]:
    """Make a network of atrous from another library's, and check that it computes the same.

    Every tensor of the source must find its place and every place its tensor. A live module is run
    beside the converted one, and so is the library's own network for a file, where the library is
    installed; a model whose logits differ is refused.

    Args:
        source: A file (`.pth`, `.safetensors`, …), a state dict, or a module of torchvision,
            segmentation_models_pytorch or transformers, which stays as it is.
        backbone: The library's name for it, where the weights do not tell.
        output_stride: Image pixels per cell of the deepest map, if not the library's default.
        rates: Rates of the pyramid in cells, if not the library's default.
        classes: Names of the classes, in the order of the logits; by default those of the source.
        palette: One (red, green, blue) for each class.

    Returns:
        The network in eval mode, and a report of what was found.

    Raises:
        DataError: The file cannot be read; its origin is unknown; a tensor is missing, unused, of
            another shape or not finite; or the networks do not compute the same.
        UsageError: The backbone must be given, or an argument does not fit.

    Example:
        >>> from torchvision.models.segmentation import lraspp_mobilenet_v3_large
        >>> theirs = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2)
        >>> model, report = convert(theirs)
        >>> report.origin, report.architecture, report.agreement.holds
        ('torchvision', 'lraspp', True)
    """
    checkpoint = open_checkpoint(source)
    hints = _merge(
        checkpoint.hints, Hints(backbone, output_stride, tuple(rates) if rates else None)
    )
    origin = recognise(checkpoint.name, checkpoint.state)
    converted = _translate(origin, checkpoint, hints)
    model = _build(checkpoint.name, converted)
    _name_classes(model, checkpoint, classes, palette)
    report = Report(
        origin=origin,
        architecture=model.blueprint.architecture,
        settings=_settings(model.blueprint),
        tensors=len(checkpoint.state),
        dropped=checkpoint.beside | dict(converted.dropped),
        agreement=_check(origin, model, checkpoint, hints=hints, dropped=converted.dropped),
    )
    return model, report


def _merge(found: Hints, given: Hints) -> Hints:
    """Return what the caller says, and for the rest what the source says."""
    return Hints(
        found.backbone if given.backbone is None else given.backbone,
        found.output_stride if given.output_stride is None else given.output_stride,
        found.rates if given.rates is None else given.rates,
    )


def _translate(origin: str, checkpoint: Checkpoint, hints: Hints) -> Converted:
    name = checkpoint.name
    try:
        converted = PEERS[origin].convert(checkpoint.state, hints)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except (KeyError, IndexError) as error:
        raise DataError(f"{name}: {error.args[0]} is missing, or not as {origin} has it") from error
    if converted.keywords.get("backbone") is None:
        raise UsageError(
            f"{name}: weights of {origin} do not tell their backbone; give its name there "
            "(backbone=, or --backbone), such as resnet34"
        )
    return converted


def _build(name: str, converted: Converted) -> SegmentationModel:
    def make() -> SegmentationModel:
        return create_model(**converted.keywords)

    try:
        model = build_filled(name, make, _with_counters(converted.state)).eval()
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    model.preprocessing = converted.preprocessing or Preprocessing()
    return model


def _name_classes(
    model: SegmentationModel,
    checkpoint: Checkpoint,
    classes: Sequence[str] | None,
    palette: Sequence[tuple[int, int, int]] | None,
) -> None:
    """Let what the caller says of the classes count before what the source says."""
    names = classes or checkpoint.classes
    if names is None:
        return
    try:
        model.name_classes(names, palette or (None if classes else checkpoint.palette))
    except UsageError as error:
        kind = UsageError if classes or palette else DataError
        raise kind(f"{checkpoint.name}: its classes: {error}") from error


def _with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add batch norms' counts of training steps, which no output needs and some files lack."""
    norms = [key.removesuffix("running_mean") for key in state if key.endswith(".running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(state)


def _settings(blueprint: Blueprint) -> dict[str, Any]:
    """Return the keywords, without those at their defaults and without the papers' conventions."""
    keywords = blueprint.model_dump(mode="json", exclude_defaults=True)
    conventions = keywords.pop("conventions", {})
    del keywords["architecture"]
    settings = keywords | conventions
    return {key: value for key, value in settings.items() if value is not False and value != []}


def _check(
    origin: str,
    model: SegmentationModel,
    checkpoint: Checkpoint,
    *,
    hints: Hints,
    dropped: Mapping[str, str],
) -> Agreement | None:
    """Compare with the live module, or with the library's own network filled with the weights."""
    source = checkpoint.name
    if checkpoint.module is not None:
        return compare(model, checkpoint.module, against=source, source=source)
    network = library_network(origin, model.blueprint, hints)
    if network is None:
        return None
    known = network.state_dict()
    state = _with_counters(checkpoint.state)
    try:
        network.load_state_dict({k: v for k, v in state.items() if k in known or k not in dropped})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(f"{source}: {described(origin)} does not take it: {reason}") from error
    return compare(model, network.eval(), against=described(origin), source=source)


def _word(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, list | tuple) else str(value)
