"""`atrous models`: the models that have a name, and their cards."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.table import Table
from tyro.conf import arg

from atrous.cli.console import plain, results
from atrous.cli.options import Flag
from atrous.errors import UsageError
from atrous.files import write_text

if TYPE_CHECKING:
    from atrous.recipe import Expected
    from atrous.weights.published import Published
    from atrous.weights.zoo import Entry

_TITLES = ("model", "network", "size", "val mIoU", "measured on")
_TO_THE_RIGHT = ("size", "val mIoU")


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that have a name, or print the card of one.

    Those of other libraries are downloaded when they are first used. Any model on the Hugging Face
    hub that atrous wrote can be named, too: hf:owner/name.

    Example: atrous models --card camvid-lite0
    """

    card: Annotated[
        str,
        arg(
            metavar="NAME",
            help="Print what this model, model file or run directory was trained on, and how good "
            "it is.",
            help_behavior_hint="",
        ),
    ] = ""
    out: Annotated[
        Path | None,
        arg(
            metavar="FILE",
            help="Write the card there, such as to README.md for a model hub.",
            help_behavior_hint="",
        ),
    ] = None
    push: Annotated[
        str,
        arg(
            metavar="OWNER/NAME",
            help="Put the model file or run that --card names on the Hugging Face hub, with its "
            "card.",
            help_behavior_hint="",
        ),
    ] = ""
    private: Flag = False
    """Make the repository on the hub a private one, if it is made now."""

    def run(self) -> None:
        """Print the list, or print, write or upload the card."""
        from atrous.weights import zoo

        console = results()
        if (self.out is not None or self.push) and not self.card:
            raise UsageError("--out and --push are where a card goes; name the model with --card")
        if self.push:
            from atrous.weights import push_to_hub

            console.print(plain(push_to_hub(self.card, self.push, private=self.private)))
        if self.out is not None:
            console.print(plain(write_text(self.out, zoo.card(self.card))), soft_wrap=True)
        elif self.card and not self.push:
            console.print(zoo.card(self.card).rstrip(), soft_wrap=True)
        elif not self.card:
            self._list()

    def _list(self) -> None:
        from atrous.weights import published, zoo

        console, embedded = results(), zoo.available()
        others = [published.published(name) for name in published.NAMES]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in _TITLES:
            table.add_column(title, justify="right" if title in _TO_THE_RIGHT else "left")
        for entry in embedded:
            _add(table, entry, *_score(entry))
        for entry in others:
            _add(table, entry, entry.mean_iou, entry.measured_on)
        console.print(table)
        for entry in embedded:
            console.print(f"\n{entry.name} comes with atrous\n  licence  {entry.facts.license}")
            if instead := _scored_instead(entry):
                said = f"  mIoU     its recipe's, on images not learnt: {instead.settings}"
                console.print(said, soft_wrap=True)
        for entry in others:
            console.print(f"\n{_origin(entry)}", soft_wrap=True)


def _score(entry: "Entry") -> tuple[float, str]:
    """Return a model's mIoU, and of what."""
    facts, instead = entry.facts.training, _scored_instead(entry)
    if instead is None:
        return facts["mean_iou"], str(facts.get("dataset", ""))
    return instead.mean_iou / 100, f"{instead.data} {instead.split}"


def _scored_instead(entry: "Entry") -> "Expected | None":
    """Return the score of its recipe for a model whose own is of images it has learnt from."""
    from atrous.recipe import load_recipe
    from atrous.weights.model_card import scored_what_it_learnt

    facts = entry.facts.training
    return load_recipe(facts["recipe"]).expected[0] if scored_what_it_learnt(facts) else None


def _add(table: Table, entry: "Entry | Published", mean_iou: float, measured_on: str) -> None:
    size = f"{entry.bytes / 1e6:.1f} MB"
    table.add_row(entry.name, entry.summary, size, f"{100 * mean_iou:.2f} %", measured_on)


def _origin(entry: "Published") -> str:
    return (
        f"{entry.name} is downloaded when first used\n"
        f"  address  {entry.url}\n"
        f"  SHA-256  begins with {entry.sha256}; the publisher gives no more\n"
        f"  licence  {entry.license}"
    )
