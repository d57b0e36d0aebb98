"""`atrous evaluate`: how good a model is on labelled images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from atrous.cli.console import plain, progress, results, warn
from atrous.cli.options import (
    Classes,
    Data,
    Device,
    Engine,
    Ignore,
    ModelOrExport,
    OutputStride,
    Precision,
)

if TYPE_CHECKING:
    from atrous.evaluate import Evaluation


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a model on a labelled split: mIoU and more, from one confusion matrix.

    Example: atrous evaluate --model camvid-lite0 --data camvid --split val
    """

    data: Data
    model: ModelOrExport = "camvid-lite0"
    split: Annotated[str, arg(metavar="NAME", help="Which images: train, val or test.")] = "val"
    classes: Classes = ()
    ignore: Ignore = ()
    out: Annotated[Path, arg(metavar="DIR", help="Folder for the results.")] = Path("evaluation")
    device: Device = "auto"
    engine: Engine = "auto"
    precision: Precision = "fp32"
    output_stride: OutputStride = None

    def run(self) -> None:
        """Evaluate, show the scores, and write them and the confusion matrix."""
        from atrous.data import open_dataset
        from atrous.evaluate import evaluate
        from atrous.evaluate.table import score_table
        from atrous.predict.engine import open_model

        dataset = open_dataset(self.data, self.split, classes=self.classes, ignore=self.ignore)
        model = open_model(self.model, output_stride=self.output_stride)
        with progress("evaluate", len(dataset)) as advance:
            evaluation = evaluate(
                model,
                dataset,
                device=self.device,
                engine=self.engine,
                precision=self.precision,
                on_image=lambda *_: advance(),
            )
        console = results()
        console.print(f"{plain(dataset.name)}, {self.split}: {evaluation.images} images\n")
        console.print(score_table(evaluation))
        if learnt := self._learnt(dataset.name):
            warn(
                f"{self.model} has learnt from {learnt} of {dataset.name}: this score says nothing "
                "of other images"
            )
        written = self._write(evaluation, output_stride=model.blueprint.output_stride)
        console.print(f"\nwrote {' and '.join(map(plain, written))}", soft_wrap=True)

    def _learnt(self, dataset: str) -> str:
        """Return the splits that the model learnt from, if the one to score is among them."""
        from atrous.fast.engines.exported import is_exported
        from atrous.weights.model_card import scored_what_it_learnt
        from atrous.weights.zoo import facts_of

        facts = None if is_exported(self.model) else facts_of(self.model)
        training = facts.training if facts else {}
        is_learnt = scored_what_it_learnt({**training, "val_split": self.split})
        return training["train_split"] if training.get("dataset") == dataset and is_learnt else ""

    def _write(self, evaluation: "Evaluation", *, output_stride: int) -> tuple[Path, Path]:
        """Write the scores and the picture; return their paths."""
        from atrous.evaluate.picture import draw_confusion
        from atrous.files import write_atomically, write_json

        facts = {"model": self.model, "data": self.data, "split": self.split}
        facts |= {"output_stride": output_stride}
        picture = draw_confusion(
            evaluation.matrix,
            evaluation.classes,
            evaluation.palette,
            title=f"{Path(self.model).name} on {evaluation.dataset}, {self.split}",
        )
        return (
            write_json(self.out / "evaluation.json", facts | evaluation.to_json()),
            write_atomically(
                self.out / "confusion-matrix.png", lambda file: picture.save(file, "PNG")
            ),
        )
