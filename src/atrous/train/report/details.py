"""How a run was made and what to do with it: commands, environment, recipe, files."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from atrous.page.layout import section, wide
from atrous.page.markup import Markup, tag
from atrous.train.report.run_record import RunRecord
from atrous.train.run_directory import BEST, CHECKPOINTS, PREVIEWS, RECIPE

# What the environment and the training are described by: the key of a fact, and how it is called.
_FACTS = {
    "processor": "processor",
    "precision": "precision",
    "python": "Python",
    "torch": "torch",
    "numpy": "numpy",
    "pillow": "Pillow",
    "timm": "timm",
    "atrous": "atrous",
    "train_images": "training images",
    "val_images": "validation images",
    "epochs": "epochs",
    "batch_size": "batch size",
    "seed": "seed",
    "processes": "processes",
    "waiting_for_data": "share of the steps' time spent waiting for data",
}
_FILES = {
    BEST: "the weights with the highest validation mIoU, for predict and evaluate",
    RECIPE: "the complete recipe",
    "metrics.csv": "loss, learning rate and scores by step",
    "speed.csv": "images per second, and waiting for data, by step",
    "tensorboard": "the same for TensorBoard",
    "data.json": "what the data was, so that a resumed run is not given other data",
    PREVIEWS: "photo, truth and prediction side by side",
    CHECKPOINTS: "where --resume goes on",
}


def commands(run: RunRecord) -> Markup:
    """Return what to type next."""
    lines = {
        **(_model_commands(run) if (run.folder / BEST).is_file() else {}),
        "Go on, if the run was stopped": ["atrous", "train", "--resume", "--out", str(run.folder)],
        "Train the same once more": ["atrous", "train", "--recipe", str(run.folder / RECIPE)],
    }
    return section("Commands", _pairs((what, _code(words)) for what, words in lines.items()))


def _model_commands(run: RunRecord) -> dict[str, list[str]]:
    data, model = run.recipe.data, ["--model", str(run.folder / BEST)]
    evaluate = ["--data", data.source, "--split", data.val_split]
    evaluate += ["--classes", *data.classes] if data.classes else []
    evaluate += ["--ignore", *map(str, data.ignore)] if data.ignore else []
    return {
        "Segment a photo": ["atrous", "predict", "PHOTO", *model],
        "Score the weights": ["atrous", "evaluate", *model, *evaluate],
    }


def environment(run: RunRecord) -> Markup:
    """Return what the training ran on, and over how much."""
    known = [(name, run.facts[key]) for key, name in _FACTS.items() if key in run.facts]
    return section("Environment", _pairs(known) if known else None)


def recipe(run: RunRecord) -> Markup:
    """Return the recipe, as the run keeps it."""
    return section("Recipe", tag("pre", tag("code", run.recipe_text), class_="recipe"))


def files(folder: Path) -> Markup:
    """Return what lies in the run directory, with sizes."""
    rows = [
        tag(
            "tr",
            tag("th", path.name + ("/" if path.is_dir() else ""), scope="row"),
            tag("td", _size(path)),
            tag("td", _FILES[path.name]),
        )
        for path in sorted(folder.iterdir())
        if path.name in _FILES
    ]
    return section("Files", wide(tag("table", *rows, class_="files")))


def _pairs(pairs: Iterable[tuple[str, object]]) -> Markup:
    return tag("dl", *(tag("div", tag("dt", what), tag("dd", value)) for what, value in pairs))


def _code(words: Iterable[str]) -> Markup:
    return tag("code", shlex.join(words))


def _size(path: Path) -> str:
    """Return the size of a file, or of all files in a folder."""
    parts = path.rglob("*") if path.is_dir() else [path]
    size = float(sum(part.stat().st_size for part in parts if part.is_file()))
    units = ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.3g} {units[0]}"
