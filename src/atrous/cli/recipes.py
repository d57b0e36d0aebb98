"""`atrous recipes`: the recipes that come with atrous, and what they should come to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.table import Table
from tyro.conf import arg

from atrous.cli.console import results

if TYPE_CHECKING:
    from atrous.recipe import Recipe

_TITLES = ("recipe", "network", "data", "expected mIoU", "measured by")
_TO_THE_RIGHT = ("expected mIoU",)


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the recipes with the scores to expect and their sources, or print one.

    Example: atrous recipes --show voc-deeplabv3-resnet101 > mine.yaml
    """

    show: Annotated[
        str,
        arg(
            metavar="NAME",
            help="Print this recipe as it is, to be changed and given to atrous train --recipe.",
            help_behavior_hint="",
        ),
    ] = ""

    def run(self) -> None:
        """Print the list or the recipe."""
        from atrous.recipe import load_recipe, recipe_names, recipe_text

        console = results()
        if self.show:
            console.print(recipe_text(self.show).rstrip(), soft_wrap=True)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in _TITLES:
            table.add_column(title, justify="right" if title in _TO_THE_RIGHT else "left")
        recipes = [load_recipe(name) for name in recipe_names()]
        for recipe in recipes:
            table.add_row(*_row(recipe))
        console.print(table)
        for recipe in recipes:
            _print_sources(console, recipe)


def _row(recipe: "Recipe") -> tuple[str, ...]:
    network = f"{recipe.model.architecture}, {recipe.model.backbone.partition('.')[0]}"
    if not recipe.expected:
        return recipe.name, network, "your own", "", ""
    best = recipe.expected[0]
    near = "near " if best.differs else ""
    score = f"{near}{best.mean_iou:.2f} %"
    return recipe.name, network, f"{best.data} {best.split}", score, best.measured_by


def _print_sources(console: Console, recipe: "Recipe") -> None:
    if recipe.expected:
        console.print(f"\n{recipe.name}")
    for row in recipe.expected:
        where = f"{row.data} {row.split}, {row.settings}"
        console.print(f"  {row.mean_iou:.2f} %  {where}", soft_wrap=True)
        console.print(f"           {row.source}", soft_wrap=True)
        if row.differs:
            console.print(f"           otherwise there: {row.differs}", soft_wrap=True)
