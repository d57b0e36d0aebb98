"""`atrous export`: a model as a file for other engines, checked before it is called done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from atrous.cli.console import plain, results, warn
from atrous.cli.options import Classes, Data, Ignore, Model
from atrous.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from atrous.data import Dataset

_MOST_IMAGES = 100  # for calibration; more change the ranges of 8-bit numbers no further


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model for ONNX Runtime, OpenVINO or torch, and check that it computes the same.

    Example: atrous export --model camvid-lite0 --to onnx --out street.onnx
    """

    to: Annotated[str, arg(metavar="ENGINE", help="onnx, openvino or torch.")]
    out: Annotated[Path, arg(metavar="FILE", help="What to write: .onnx, .xml or .pt2.")]
    model: Model = "camvid-lite0"
    precision: Annotated[
        str, arg(metavar="NAME", help="fp32, fp16, bf16 (not onnx) or int8 (not torch).")
    ] = "fp32"
    outputs: Annotated[str, arg(metavar="NAME", help="labels, logits or coarse_logits.")] = "labels"
    calibrate: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help="Photographs like those to come, which int8 is tuned on.",
            help_behavior_hint="(default: the train split of --data)",
        ),
    ] = None
    data: Annotated[Data, arg(help_behavior_hint="(default: no score)")] = ""
    split: Annotated[
        str, arg(metavar="NAME", help="Labelled images to score on: train, val or test.")
    ] = "val"
    classes: Classes = ()
    ignore: Ignore = ()

    def run(self) -> None:
        """Export, and show what the checks found."""
        from atrous.export import export
        from atrous.export.run import LARGEST_LOSS
        from atrous.export.table import proof_table
        from atrous.weights import load_model

        if self.precision == "int8" and not (self.calibrate or self.data):
            raise UsageError("int8 is tuned on images: give --calibrate DIR, or --data")
        dataset = self._open(self.split) if self.data else None
        done = export(
            load_model(self.model),
            self.out,
            to=self.to,
            outputs=self.outputs,
            precision=self.precision,
            calibration=self._calibration() if self.precision == "int8" else (),
            dataset=dataset,
            license=_license(self.model),
        )
        console = results()
        console.print(proof_table(done))
        if done.drop is not None and done.drop.lost > LARGEST_LOSS:
            warn(f"{self.precision} costs {100 * done.drop.lost:.2f} mIoU here; use another")
        console.print(f"\nwrote {' and '.join(map(plain, done.files))}", soft_wrap=True)

    def _open(self, split: str) -> "Dataset":
        from atrous.data import open_dataset

        return open_dataset(self.data, split, classes=self.classes, ignore=self.ignore)

    def _calibration(self) -> "Sequence[np.ndarray]":
        """Return images spread evenly over the folder, or over the train split."""
        from atrous.data import find_images, read_image

        if self.calibrate is None:
            train = self._open("train")
            return [train[number].image for number in _spread(len(train))]
        found = find_images([self.calibrate])
        if not found:
            raise DataError(f"{self.calibrate}: no photographs are found in it")
        return [read_image(found[number].path) for number in _spread(len(found))]


def _spread(length: int) -> list[int]:
    """Return up to `_MOST_IMAGES` numbers below a length, evenly spread."""
    count = min(length, _MOST_IMAGES)
    return [number * length // count for number in range(count)]


def _license(model: str) -> str:
    """Return what a model file, or one that comes with atrous, says of its licence."""
    from atrous.weights.zoo import facts_of

    facts = facts_of(model)
    return facts.license if facts else ""
