"""`atrous reproduce`: a table of a paper, trained again."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from atrous.cli.console import messages, plain, results
from atrous.cli.options import Device
from atrous.errors import UsageError

if TYPE_CHECKING:
    from atrous.reproduce import Job, Line, Study, Variant


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Train the variants of a published table, and show their scores beside the published ones.

    Ctrl-C saves; the same command goes on. What is trained and scored already is kept.

    Example: atrous reproduce large-fov-vs-aspp --data camvid --seeds 3
    """

    study: Annotated[
        Positional[str],
        arg(
            metavar="STUDY",
            help="large-fov-vs-aspp, v3-ladder, output-stride or crop-size.",
        ),
    ]
    data: Annotated[
        str,
        arg(
            metavar="DIR|NAME=DIR",
            help="Folder with images/ and masks/ or in a standard layout, or the made-up set "
            "'shapes'.",
        ),
    ]
    seeds: Annotated[
        int, arg(metavar="N", help="Trainings of each variant, with seeds 0 to N-1.")
    ] = 3
    set: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(
            metavar="KEY=VALUE",
            help="Change the recipe of all variants, as in train.max_steps=500; may be repeated.",
            help_behavior_hint="",
        ),
    ] = ()
    variants: Annotated[
        tuple[str, ...],
        arg(metavar="NAME...", help="Run these alone.", help_behavior_hint="(default: all)"),
    ] = ()
    out: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help="Folder for runs, scores and the table.",
            help_behavior_hint="(default: runs/reproduce/STUDY-DATA)",
        ),
    ] = None
    device: Device = "auto"

    def run(self) -> None:
        """Train what is not trained yet, and show the table."""
        # As in `atrous train`: read when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from atrous.reproduce import lines, plan, read_scores, write_results
        from atrous.train.memory import keep_freed_memory

        keep_freed_memory()
        if self.seeds < 1:
            raise UsageError(
                f"--seeds {self.seeds}: at least one training of each variant is needed"
            )
        study = self._find_study()
        out = self.out or Path("runs/reproduce") / f"{study.name}-{self._data_name()}"
        device = () if self.device == "auto" else (f"train.device={self.device}",)
        jobs = plan(
            study,
            out,
            data=self.data,
            seeds=self.seeds,
            settings=(*self.set, *device),
            variants=self._find_variants(study),
        )
        messages().print(f"{study.source}: {study.varies}; in {plain(out)}", soft_wrap=True)
        written: list[Path] = []
        for number, job in enumerate(jobs, start=1):
            self._carry_out(job, f"{number} of {len(jobs)}")
            written = write_results(study, out, seeds=self.seeds)
        _show(study, lines(study, read_scores(study, out, seeds=self.seeds)))
        results().print(f"\nwrote {', '.join(map(plain, written))}", soft_wrap=True)

    def _carry_out(self, job: "Job", number: str) -> None:
        """Do one training and its evaluations, or say that they are done."""
        from atrous.reproduce import carry_out
        from atrous.train.progress import ConsoleProgress

        console = messages()
        done = "" if job.unscored else ", kept"
        console.print(f"\nrun {number}: {plain(job.folder)}{done}", soft_wrap=True)
        stopped_by = carry_out(job, ConsoleProgress(console))
        if stopped_by is not None:
            results().print("stopped and saved; the same command goes on")
            raise SystemExit(128 + stopped_by)

    def _find_study(self) -> "Study":
        from atrous.reproduce import STUDIES

        if self.study in STUDIES:
            return STUDIES[self.study]
        near = difflib.get_close_matches(self.study, STUDIES, n=1) or list(STUDIES)
        raise UsageError(f"study {self.study!r} is unknown; use {' or '.join(near)}")

    def _find_variants(self, study: "Study") -> "list[Variant]":
        known = {variant.name: variant for variant in study.variants}
        for name in self.variants:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1) or list(known)
                raise UsageError(f"{study.name}: no variant {name!r}; use {' or '.join(near)}")
        return [known[name] for name in self.variants]

    def _data_name(self) -> str:
        return Path(self.data.rpartition("=")[2]).resolve().name


def _show(study: "Study", table: "list[Line]") -> None:
    from rich.table import Table

    from atrous.reproduce.table import HEADER, rows

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(HEADER):
        shown.add_column(title, justify="left" if number == 0 else "right")
    for row in rows(table):
        shown.add_row(*row)
    results().print(f"\nmIoU in percent; published: {study.source}, {study.published_on}\n")
    results().print(shown)
