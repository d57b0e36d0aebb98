"""`atrous models`: the models that come with atrous, and their cards."""

from dataclasses import dataclass
from typing import Annotated

from rich.table import Table
from tyro.conf import arg

from atrous.cli.console import results


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that come with atrous, or print the card of one.

    Example: atrous models --card camvid-lite0
    """

    card: Annotated[
        str,
        arg(
            metavar="NAME",
            help="Print what this model was trained on, how good it is, and its limits.",
            help_behavior_hint="",
        ),
    ] = ""

    def run(self) -> None:
        """Print the list or the card."""
        from atrous.weights import zoo

        if self.card:
            results().print(zoo.card(self.card).rstrip(), soft_wrap=True)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("model", "network", "size", "val mIoU"):
            table.add_column(title, justify="right" if title in ("size", "val mIoU") else "left")
        entries = zoo.available()
        for entry in entries:
            score = f"{100 * entry.facts.training['mean_iou']:.2f} %"
            table.add_row(entry.name, entry.summary, f"{entry.bytes / 1e6:.1f} MB", score)
        console = results()
        console.print(table)
        for entry in entries:
            console.print(f"\nlicence of {entry.name}: {entry.facts.license}")
