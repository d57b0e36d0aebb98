"""`atrous data check DIR`: what is wrong with a data set, and the cure for each thing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from atrous.cli.console import plain, progress, results
from atrous.cli.options import Classes, Flag, Ignore
from atrous.errors import DataError, UsageError

if TYPE_CHECKING:
    from atrous.data.doctor import Finding, Plan, Report
    from atrous.data.doctor.survey import Survey
    from atrous.data.labels import LabelScheme

_COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


@dataclass(frozen=True, kw_only=True)
class Data:
    """Find what is wrong with a data set, before a training does; no file is touched.

    Every file is read once. It ends with exit code 3 if there are errors, with 0 if there are
    warnings and notes only.

    Example: atrous data check my-photos --recipe default --out samples.png
    """

    action: Positional[Annotated[Literal["check"], arg(help="What to do with the data set.")]]
    folder: Positional[
        Annotated[Path, arg(metavar="DIR", help="Folder with images/SPLIT and masks/SPLIT.")]
    ]
    recipe: Annotated[
        str,
        arg(
            metavar="NAME|FILE",
            help="Judge the crop and rates of this recipe too.",
            help_behavior_hint="",
        ),
    ] = ""
    classes: Classes = ()
    ignore: Ignore = ()
    write: Annotated[Flag, arg(help="Accept the dataset.yaml that is proposed: write it.")] = False
    out: Annotated[
        Path | None,
        arg(
            metavar="FILE.png",
            help="Draw samples with their masks into this file, outside of DIR.",
            help_behavior_hint="(default: no picture)",
        ),
    ] = None
    json: Annotated[Flag, arg(help="Print JSON instead of tables.")] = False

    def run(self) -> None:
        """Check, show what was found, and write what was asked for."""
        from atrous.data.doctor.check import existing_folder, judge
        from atrous.data.doctor.survey import list_files, num_files, read_files

        self._refuse_contradictions()
        plan, scheme = self._plan(), self._scheme()
        root = existing_folder(self.folder)
        splits = list_files(root)
        if not splits:
            self._refuse_other_layouts(root)
        with progress("check", num_files(splits)) as advance:
            survey = read_files(root, splits, on_file=advance)
        report = judge(survey, scheme=scheme, plan=plan)
        written = []
        if self.write:
            written.append(_write_proposal(report))
            report = judge(survey, plan=plan)
        if self.out is not None and report.scheme is not None:
            written.append(_write_picture(self.out, survey, report.scheme))
        self._show(report, written)
        if count := report.count("error"):
            them = "it" if count == 1 else "them"
            errors = f"{count} error{'' if count == 1 else 's'}"
            raise DataError(f"{self.folder}: {errors}; mend {them} before training")

    def _refuse_contradictions(self) -> None:
        if self.write and (self.classes or self.ignore):
            raise UsageError("--write accepts what is proposed; leave out --classes and --ignore")
        if self.out is not None and self.out.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(f"{self.out}: lies in the data set; choose a place outside of it")
        if self.write and (self.folder / "dataset.yaml").exists():
            raise UsageError(
                f"{self.folder}/dataset.yaml is there, and is never changed by --write"
            )

    def _refuse_other_layouts(self, root: Path) -> None:
        from atrous.data.layouts.names import FOLDER, recognize

        if (name := recognize(root)) != FOLDER:
            raise UsageError(
                f"{root}: is laid out as {name}; only folders with images/ and masks/ "
                "are checked, others when they are read"
            )

    def _scheme(self) -> "LabelScheme | None":
        """Return what the options say of mask values; None leaves it to `dataset.yaml`."""
        from atrous.data.folder import read_scheme
        from atrous.data.labels import LabelScheme

        if self.classes:
            return LabelScheme.from_words(self.classes, self.ignore)
        if self.ignore:
            document = read_scheme(self.folder / "dataset.yaml").model_dump()
            return LabelScheme.parse(document | {"ignore": self.ignore}, "--ignore")
        return None

    def _plan(self) -> "Plan":
        """Return what the recipe is going to do with the data set."""
        from atrous.data.doctor import Plan

        if not self.recipe:
            return Plan()
        from atrous.recipe import load_recipe
        from atrous.train.data_check import plan_of

        return plan_of(load_recipe(self.recipe))

    def _show(self, report: "Report", written: list[Path]) -> None:
        console = results()
        if self.json:
            document = report.to_json() | {"written": list(map(str, written))}
            console.print(json.dumps(document, indent=2), soft_wrap=True)
            return
        pairs = ", ".join(f"{plain(split)} {count:,}" for split, count in report.pairs.items())
        console.print(f"{plain(self.folder)}: {pairs or 'no split'} (pairs)\n", soft_wrap=True)
        if report.findings:
            console.print(_finding_table(report.findings))
            _print_cures(report.findings)
        else:
            console.print("nothing is wrong")
        if report.classes:
            console.print()
            console.print(_class_table(report))
        if report.proposal is not None:
            _print_proposal(report.proposal)
        for path in written:
            console.print(f"\nwrote {plain(path)}", soft_wrap=True)


def _finding_table(findings: "tuple[Finding, ...]") -> Table:
    """Return one line for each finding, with the first of its files."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    for title in ("", "found", "where"):
        table.add_column(title, overflow="fold")
    for number, finding in enumerate(findings, start=1):
        color = _COLORS[finding.severity]
        severity = Text(finding.severity, color)
        table.add_row(str(number), severity, Text(plain(finding.what)), Text(_where(finding)))
    return table


def _where(finding: "Finding") -> str:
    shown = [
        f"{place.file}: {place.detail}" if place.detail else place.file
        for place in finding.places[:3]
    ]
    more = finding.count - len(shown)
    return "\n".join([*map(plain, shown), *([f"and {more:,} more"] if more > 0 else [])])


def _print_cures(findings: "tuple[Finding, ...]") -> None:
    """Print the cures on lines that do not wrap, to be copied."""
    console = results()
    cures = [(number, finding.cure) for number, finding in enumerate(findings, 1) if finding.cure]
    if cures:
        console.print(Text("\nwhat to do", "bold"))
    for number, cure in cures:
        console.print(f"{number:>3}  {plain(cure)}", soft_wrap=True)


def _class_table(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    for title in ("pixels %", "weight, log-frequency", "median-frequency"):
        table.add_column(title, justify="right")
    for line in report.classes:
        weights = (f"{line.log_frequency:.3f}", f"{line.median_frequency:.3f}")
        table.add_row(Text(plain(line.name)), f"{100 * line.share:.2f}", *weights)
    return table


def _print_proposal(proposal: "LabelScheme") -> None:
    from atrous.data.doctor.proposal import scheme_yaml

    console = results()
    console.print(Text("\nproposed dataset.yaml; change the names as you like", "bold"))
    console.print(scheme_yaml(proposal).rstrip(), soft_wrap=True)


def _write_proposal(report: "Report") -> Path:
    from atrous.data.doctor.proposal import scheme_yaml
    from atrous.files import write_text

    if report.proposal is None:
        raise DataError(
            f"{report.folder}: no dataset.yaml can be proposed: no mask that can be read, or not "
            "2 to 254 values; run without --write to see what is wrong"
        )
    return write_text(report.folder / "dataset.yaml", scheme_yaml(report.proposal))


def _write_picture(path: Path, survey: "Survey", scheme: "LabelScheme") -> Path:
    from atrous.data.doctor.picture import draw_samples
    from atrous.files import write_atomically

    picture = draw_samples(survey, scheme)
    return write_atomically(path, lambda file: picture.save(file, "PNG"))
