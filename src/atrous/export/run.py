"""From a network to a file for another engine, checked before it gets its name."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch

from atrous import __version__
from atrous.data import Dataset
from atrous.errors import DataError, UsageError
from atrous.export.graphs import Graph, build, rates_of
from atrous.export.proof import NotTheSameError, Proof, prove
from atrous.export.quantize import quantized, spared_layers
from atrous.export.score import Drop, score, score_drop
from atrous.files import write_atomically
from atrous.models import SegmentationModel
from atrous.weights.model_file import digest

# What each engine computes in, and how its file ends: that of the name one gives.
PRECISIONS = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "bf16", "fp16", "int8"),
    "torch": ("fp32", "bf16", "fp16"),
}
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
OUTPUTS = ("labels", "logits", "coarse_logits")
LARGEST_LOSS = 0.003  # of mean IoU; int8 that loses more keeps more layers in float, or is refused


@dataclass(frozen=True)
class Exported:
    """An export that passed its checks.

    Attributes:
        files: What was written; the first is the one to open.
        proof: How far it and its source were apart.
        drop: What it cost on a data set; None without one.
        facts: What the file says of itself.
    """

    files: tuple[Path, ...]
    proof: Proof
    drop: Drop | None
    facts: dict[str, Any]


def export(
    model: SegmentationModel,
    out: str | Path,
    *,
    to: str,
    outputs: str = "labels",
    precision: str = "fp32",
    calibration: Sequence[np.ndarray] = (),
    dataset: Dataset | None = None,
    license: str = "",
) -> Exported:
    """Write a network as a file for ONNX Runtime, OpenVINO or torch without atrous.

    The file takes `images`, uint8 (B, H, W, 3) RGB of any size. It is compared with the network on
    images of twelve shapes, and written only when it computes the same; what was found stands in
    its metadata, beside what else one needs to use it.

    Args:
        model: A network; it is moved to the CPU, and left in the mode it has.
        out: The file: `.onnx`, `.xml` (its weights are written beside it, as `.bin`) or `.pt2`.
        to: `onnx`, `openvino` or `torch`.
        outputs: `labels` (B, H, W), `logits` (B, K, H, W), or `coarse_logits` (B, K, h, w).
        precision: `fp32`; `fp16`, with half the weights; `bf16`; or `int8`.
        calibration: Images (H, W, 3) like those to come, which `int8` is tuned on.
        dataset: Labelled images to score the network and the export on.
        license: What one may do with the weights, for the metadata.

    Raises:
        UsageError: A word is unknown, or does not go with another.
        MissingExtraError: The engine is not installed.
        DataError: The export does not compute the same, or in `int8` loses more than 0.3 points of
            mean IoU whatever stays in float; nothing is written then.
        ResourceError: The file cannot be written.

    Example:
        >>> import tempfile, atrous
        >>> model = atrous.create_model("lraspp", backbone="resnet18", num_classes=2)
        >>> done = export(model, tempfile.mkdtemp() + "/model.pt2", to="torch")
        >>> done.proof.equal_labels
        1.0
    """
    out = Path(out)
    _check_words(out, to, outputs, precision, has_calibration=bool(calibration))
    model.cpu()
    before = None if dataset is None else score(model, dataset)
    graph = build(model, to=to, outputs=outputs, precision=precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = _facts(model, to=to, outputs=outputs, precision=precision, license=license)

    def check(graph: Graph) -> _Checked:
        run = graph.start(graph.files(facts, folder=out.parent))
        rates = rates_of(model), graph.rates()
        proof = prove(model, run, outputs=outputs, precision=precision, rates=rates)
        if dataset is None or before is None:
            return _Checked(graph, proof, None)
        return _Checked(graph, proof, score_drop(before, run, dataset, model=model))

    done = _in_8_bits(model, graph, calibration, check) if precision == "int8" else check(graph)
    facts |= {"proof": done.proof.to_json(), "score": done.drop and done.drop.to_json()}
    return Exported(_write(done.graph, out, facts), done.proof, done.drop, facts)


class _Checked(NamedTuple):
    """A graph that computes what the network does, and what it costs on a data set."""

    graph: Graph
    proof: Proof
    drop: Drop | None


def _in_8_bits(
    model: SegmentationModel,
    graph: Graph,
    images: Sequence[np.ndarray],
    check: Callable[[Graph], _Checked],
) -> _Checked:
    """Return the graph in 8 bits with the fewest layers in float that loses little enough.

    Raises:
        DataError: Each loses too much.
    """
    why = ""
    for spared in spared_layers(model, graph, images):
        try:
            done = check(quantized(graph, images, spared=spared))
        except NotTheSameError as error:
            why = str(error)
            continue
        if done.drop is None or done.drop.lost <= LARGEST_LOSS:
            return done
        why = f"{100 * done.drop.lost:.2f} points of mean IoU are lost"
    raise DataError(
        f"int8 harms this network: {why}, whatever is kept in float; at most "
        f"{100 * LARGEST_LOSS:g} may be lost; calibrate on more images like those to come, or "
        "export in another precision"
    )


def _check_words(
    out: Path, to: str, outputs: str, precision: str, *, has_calibration: bool
) -> None:
    if to not in PRECISIONS:
        raise UsageError(f"there is no export to {to!r}; use {', '.join(PRECISIONS)}")
    if precision not in PRECISIONS[to]:
        known = ", ".join(PRECISIONS[to])
        raise UsageError(f"precision {precision!r} is not there for {to}; use {known}")
    if outputs not in OUTPUTS:
        raise UsageError(f"outputs {outputs!r} is unknown; use {', '.join(OUTPUTS)}")
    if out.suffix != SUFFIXES[to]:
        raise UsageError(f"{out}: a file for {to} ends in {SUFFIXES[to]}")
    if precision == "int8" and not has_calibration:
        raise UsageError("int8 is tuned on images like those to come; give some for calibration")


def _facts(
    model: SegmentationModel, *, to: str, outputs: str, precision: str, license: str
) -> dict[str, Any]:
    """Return what one needs to use the file, and where it is from."""
    made, colors = model.blueprint, model.preprocessing
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return {
        "format": "atrous-export-1",
        "atrous": __version__,
        "torch": str(torch.__version__),
        "to": to,
        "precision": precision,
        "input": {"name": "images", "shape": "B, H, W, C", "type": "uint8", "colors": "RGB"},
        "output": outputs,
        "classes": list(model.classes),
        "palette": [list(color) for color in model.palette],
        "preprocessing": {"inside": True, "mean": list(colors.mean), "std": list(colors.std)},
        "model": json.loads(made.model_dump_json()),
        "license": license,
        "source_sha256": digest(state),
    }


def _write(graph: Graph, out: Path, facts: dict[str, Any]) -> tuple[Path, ...]:
    """Write the files; the last, which is what one opens, gets its name when all others have."""
    files = list(graph.files(facts, folder=out.parent).items())

    def write(number: int) -> Path:
        ending, content = files[number]

        def fill(file: IO[bytes]) -> None:
            file.write(content)
            if number:
                write(number - 1)

        return write_atomically(out.with_suffix(ending), fill)

    write(len(files) - 1)
    return tuple(out.with_suffix(ending) for ending, _ in reversed(files))
