"""An exported file as a network: what `atrous export` wrote, opened by the engine it is for.

Axes: B images, H rows, W columns; K classes; h, w of the map that is classified.
"""

import copy
import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from atrous.errors import DataError, MissingExtraError, UsageError
from atrous.fast.engines.onnx_engine import open_onnx
from atrous.fast.engines.openvino_sizes import GraphsBySize, hint_of
from atrous.fast.openvino_core import openvino_core
from atrous.models.blueprint import Blueprint

FACTS = "atrous"
"""What a file's metadata calls what it says of itself, in JSON."""

SUFFIXES = {".onnx": "onnxruntime", ".xml": "openvino"}
"""The engine that opens a file, by its ending."""

Run = Callable[[Tensor], Tensor]


class _Facts(BaseModel):
    """What of a file's facts is needed to use it.

    Attributes:
        weights_sha256: Digest of the `.bin` beside an `.xml`.
    """

    precision: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    model: Blueprint
    weights_sha256: str | None = None


class ExportedModel:
    """A network in a file that `atrous export` wrote; to prediction it is a model and its engine.

    Pictures of any size are taken, also by an `.xml` that is fixed to one: each size has a graph of
    its own, which is made when the first picture of it comes.

    Args:
        path: An `.onnx` file, or an `.xml` with its `.bin` beside it.

    Attributes:
        path: The file.
        name: The engine that computes it: `onnxruntime` or `openvino`.
        precision: `fp32`, `fp16`, `bf16` or `int8`, as it was exported.
        classes: Names of the classes.
        palette: One RGB colour for each class, 0 to 255.
        blueprint: The numbers of the network that it was made from.

    Raises:
        UsageError: The file is for another engine.
        MissingExtraError: Its engine is not installed.
        DataError: It is missing, is none of atrous, or is not whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not is_exported(path):
            raise UsageError(f"{path}: expected an exported file, {' or '.join(SUFFIXES)}")
        self.name = SUFFIXES[self.path.suffix]
        if not self.path.is_file():
            raise DataError(f"{path}: there is no such file")
        if find_spec(self.name) is None:
            raise MissingExtraError(self.name, "onnx" if self.name == "onnxruntime" else self.name)
        open_file = _open_onnx if self.name == "onnxruntime" else _open_openvino
        facts, self._run = open_file(self.path)
        self.precision, self.blueprint = facts.precision, facts.model
        self.classes, self.palette = facts.classes, facts.palette

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the file gives for stored images (B, H, W, 3) uint8 RGB.

        Logits (B, K, h, w) or (B, K, H, W) float32; or labels (B, H, W) uint8, int32 from 256
        classes on.
        """
        found = self._run(images)
        # Torch computes next to nothing in uint16, which is what files have.
        return found.int() if found.dtype == torch.uint16 else found

    @property
    def at_once(self) -> int:
        """How many calls, from as many threads, are computed at the same time."""
        return self._run.at_once if isinstance(self._run, GraphsBySize) else 1

    def for_many(self) -> "ExportedModel":
        """Return the same network for more images a second, each of which takes longer.

        What ONNX Runtime computes stays as it is.
        """
        other = copy.copy(self)
        if isinstance(self._run, GraphsBySize):
            other._run = self._run.for_many()
        return other


def is_exported(path: object) -> bool:
    """Return whether a name is that of a file which `ExportedModel` opens.

    Example:
        >>> is_exported("street.onnx"), is_exported("camvid-lite0")
        (True, False)
    """
    return isinstance(path, str | Path) and Path(path).suffix in SUFFIXES


def _open_onnx(path: Path) -> tuple[_Facts, Run]:
    content = path.read_bytes()
    try:
        session = open_onnx(content)
    except MissingExtraError:
        raise
    except Exception as error:  # its own kinds, which share no base
        raise DataError(
            f"{path}: is no ONNX file that can be run ({_first_line(error)})"
        ) from error
    text = session.get_modelmeta().custom_metadata_map.get(FACTS)
    facts = _facts(path, text)

    def run(images: Tensor) -> Tensor:
        inputs = {"images": images.cpu().contiguous().numpy()}
        return torch.from_numpy(session.run(None, inputs)[0])

    return facts, run


def _open_openvino(path: Path) -> tuple[_Facts, Run]:
    core, weights = openvino_core(), path.with_suffix(".bin")
    try:
        xml, content = path.read_bytes(), weights.read_bytes()
    except OSError as error:
        raise DataError(f"{weights}: {path.name} needs it ({error.strerror})") from error
    try:
        graph = core.read_model(xml, content)
    except RuntimeError as error:
        raise DataError(
            f"{path}: is no graph of OpenVINO, or {weights.name} is that of another "
            f"({_first_line(error)})"
        ) from error
    text = graph.get_rt_info([FACTS]).astype(str) if graph.has_rt_info([FACTS]) else None
    facts = _facts(path, text)
    if facts.weights_sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise DataError(f"{weights}: is not the one that {path.name} was written with; export anew")
    run = GraphsBySize(lambda _: graph.clone(), hint=hint_of(facts.precision))
    return facts, run


def _facts(path: Path, text: str | None) -> _Facts:
    try:
        return _Facts.model_validate_json(text or "")
    except ValidationError as error:
        raise DataError(
            f"{path}: does not say which classes it knows; expected a file of `atrous export`"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
