"""`atrous train`: from images and masks to a model file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import UseAppendAction, arg

from atrous.cli.console import messages, plain, results
from atrous.cli.options import Classes, Device, Flag, Ignore
from atrous.errors import UsageError

if TYPE_CHECKING:
    from atrous.evaluate import Evaluation
    from atrous.recipe import Recipe
    from atrous.train import Outcome


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model, and leave a run directory with `best.safetensors` in it.

    Ctrl-C saves and says how to go on.

    Example: atrous train --data my-photos --set train.epochs=40 --out runs/first
    """

    data: Annotated[
        str | None,
        arg(
            metavar="DIR|NAME=DIR",
            help="Folder with images/ and masks/ or in a standard layout (NAME=DIR forces one: "
            "voc, cityscapes, ade20k, ...), or the made-up set 'shapes'.",
            help_behavior_hint="(default: the recipe's)",
        ),
    ] = None
    recipe: Annotated[str, arg(metavar="NAME|FILE", help="A shipped recipe, or a YAML file.")] = (
        "default"
    )
    set: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(
            metavar="KEY=VALUE",
            help="Change one value of the recipe, as in train.max_steps=60; may be repeated.",
            help_behavior_hint="",
        ),
    ] = ()
    out: Annotated[
        Path | None,
        arg(
            metavar="RUN",
            help="The run directory.",
            help_behavior_hint="(default: runs/ and the recipe's name)",
        ),
    ] = None
    resume: Annotated[
        Flag, arg(help="Go on with the run in --out; --set may change what decides no weight.")
    ] = False
    find_lr: Annotated[
        Flag,
        arg(help="Only take up to 100 steps at growing rates, and suggest one; keeps nothing."),
    ] = False
    classes: Classes = ()
    ignore: Ignore = ()
    device: Device = "auto"

    def run(self) -> None:
        """Train, and say what came of it."""
        # Where data workers share the cores, threads that spin while they wait cost tenfold; it is
        # read when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from atrous.train.memory import keep_freed_memory

        keep_freed_memory()
        if self.find_lr:
            self._suggest_lr()
            return
        from atrous.train import train
        from atrous.train.progress import ConsoleProgress
        from atrous.train.run_directory import unused_folder

        recipe = self._recipe_to_resume() if self.resume else self._read_recipe()
        folder = self.out or unused_folder(Path("runs"), recipe.name)
        console = messages()
        console.print(f"run directory: {plain(folder)}", soft_wrap=True)
        outcome = train(recipe, folder, resume=self.resume, progress=ConsoleProgress(console))
        if outcome.evaluation is None:
            self._say_how_to_go_on(outcome)
            raise SystemExit(128 + (outcome.stopped_by or 0))
        self._say_what_was_reached(outcome, outcome.evaluation)

    def _suggest_lr(self) -> None:
        """Print the loss at growing learning rates, and the rate to start from."""
        from rich.table import Table

        from atrous.train.lr_finder import find_lr

        recipe = self._read_recipe()
        with messages().status("taking steps at growing learning rates"):
            curve = find_lr(recipe)
        table = Table("learning rate", "loss", box=None)
        for index in range(0, len(curve.rates), 10):
            table.add_row(f"{curve.rates[index]:.1e}", f"{curve.losses[index]:.4f}")
        results().print(table)
        results().print(f"\nWhere the loss falls fastest: --set optim.lr={curve.suggestion:.1e}")

    def _recipe_to_resume(self) -> "Recipe":
        """Return the run's own recipe, with what the command line says laid over it."""
        from atrous.train.run_directory import resume_run

        if self.out is None:
            raise UsageError("--resume needs the run: atrous train --resume --out RUN")
        if self.recipe != "default":
            raise UsageError(
                f"{self.out}: a resumed run keeps its recipe; leave out --recipe, or start another "
                "run"
            )
        return self._lay_over(resume_run(self.out, self.set))

    def _read_recipe(self) -> "Recipe":
        """Return the recipe named, with what the command line says laid over it."""
        from atrous.recipe import load_recipe

        recipe = self._lay_over(load_recipe(self.recipe, self.set))
        if not recipe.data.source:
            raise UsageError("no data set is named; give --data DIR, or --data shapes for a try")
        return recipe

    def _lay_over(self, recipe: "Recipe") -> "Recipe":
        data = {
            "source": self.data or recipe.data.source,
            "classes": self.classes or recipe.data.classes,
            "ignore": self.ignore or recipe.data.ignore,
        }
        train = {"device": self.device} if self.device != "auto" else {}
        return recipe.model_copy(
            update={
                "data": recipe.data.model_copy(update=data),
                "train": recipe.train.model_copy(update=train),
            }
        )

    def _say_how_to_go_on(self, outcome: "Outcome") -> None:
        results().print(
            f"stopped and saved at step {outcome.step} of {outcome.total_steps}; go on with:\n"
            f"  atrous train --resume --out {plain(outcome.folder)}",
            soft_wrap=True,
        )

    def _say_what_was_reached(self, outcome: "Outcome", evaluation: "Evaluation") -> None:
        from atrous.evaluate.table import score_table

        console = results()
        console.print("\nThe best weights, as stored, on the validation images:\n")
        console.print(score_table(evaluation))
        console.print(
            f"\nwrote {plain(outcome.model_file)}; try it:\n"
            f"  atrous predict PHOTO --model {plain(outcome.model_file)}",
            soft_wrap=True,
        )
