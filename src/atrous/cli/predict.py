"""`atrous predict`: photographs in, masks and overlays out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from atrous.cli.console import complain, plain, progress, results
from atrous.cli.options import Device, Engine, Flag, ModelOrExport, OutputStride, Precision
from atrous.cli.share_table import ShareTable
from atrous.errors import SomeInputsFailedError, UsageError

if TYPE_CHECKING:
    from atrous.fast.engines import Engine as Computing


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Segment photographs: masks, overlays, and which share is which class.

    Example: atrous predict holiday/ street.jpg --out results
    """

    inputs: Positional[
        Annotated[
            tuple[str, ...],
            arg(
                metavar="INPUT...",
                help="Photographs, folders, or quoted patterns such as 'trip/*.jpg'.",
                help_behavior_hint="(required)",
            ),
        ]
    ] = ()
    model: ModelOrExport = "camvid-lite0"
    out: Annotated[Path, arg(metavar="DIR", help="Folder for the results.")] = Path("predictions")
    format: Annotated[
        str,
        arg(
            metavar="WORD,...",
            help="What to write: mask (a palette PNG of class numbers), overlay (a picture).",
        ),
    ] = "mask,overlay"
    device: Device = "auto"
    engine: Engine = "auto"
    precision: Precision = "fp32"
    output_stride: OutputStride = None
    strict: Flag = False
    """Stop at the first photograph that cannot be read."""

    def run(self) -> None:
        """Predict, and tell of each photograph as soon as it is done."""
        if not self.inputs or "" in self.inputs:
            raise UsageError("no photograph is given; name files or folders: atrous predict trip/")

        from atrous.data.images import find_images
        from atrous.predict.batch import FAILURES, Done, run_jobs
        from atrous.predict.outputs import parse_formats, plan_jobs
        from atrous.predict.segmenter import Segmenter

        formats = parse_formats(self.format)
        jobs = plan_jobs(find_images(self.inputs), self.out, formats)
        segmenter = Segmenter(
            self.model,
            device=self.device,
            engine=self.engine,
            precision=self.precision,
            output_stride=self.output_stride,
        )
        done = 0
        with progress("predict", len(jobs)) as advance:
            table = ShareTable(results(), [job.photo.name for job in jobs])
            for outcome in run_jobs(segmenter, jobs, self.out, strict=self.strict):
                if isinstance(outcome, Done):
                    done += 1
                    name, palette = outcome.job.photo.name, segmenter.palette
                    table.add(name, outcome.size, shares=outcome.shares, palette=palette)
                else:
                    complain(outcome.error)
                advance()
        self._tell_what_was_written(done, formats, by=segmenter.engine)
        if done < len(jobs):
            raise SomeInputsFailedError(
                f"{self.out / FAILURES}: lists what failed, {len(jobs) - done} of {len(jobs)} "
                "photographs; the others are done"
            )

    def _tell_what_was_written(
        self, photos: int, formats: tuple[str, ...], *, by: "Computing"
    ) -> None:
        files = photos * len(formats)
        kinds = ", ".join(f"{photos} x *.{name}.png" for name in formats)
        noun = "file" if files == 1 else "files"
        if files:
            line = f"wrote {files} {noun} to {plain(self.out)}/: {kinds}"
            results().print(f"{line} ({by.name}, {by.precision})", soft_wrap=True)
