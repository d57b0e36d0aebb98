"""What the pages show must run: Python, commands, settings, and the tutorials from top to bottom.

Blocks titled `once …` install something; those titled `needs …` cannot run here. All others do.
"""

import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from PIL import Image

from atrous.cli.main import COMMANDS, _parse, main
from atrous.data import open_dataset
from atrous.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TUTORIALS = sorted((DOCS / "tutorial").glob("*.md"))
PHOTO = ROOT / "examples" / "photos" / "trier-parked-cars-and-basilica.jpg"
_FENCE = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', flags=re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    language: str
    title: str
    text: str

    @property
    def runs(self) -> bool:
        return not self.title.startswith(("once", "needs"))


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def python(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


def name_of(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


# Blocks -------------------------------------------------------------------------------------------


def write_my_data(folder: Path) -> None:
    """Write shapes as if they were the classes of the embedded model."""
    from atrous.data import ShapesDataset
    from atrous.weights import load_model

    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for image, labels, name in ShapesDataset(split, length=2, size=(32, 48)):
            Image.fromarray(image).save(folder / "images" / split / f"{name}.png")
            Image.fromarray(labels).save(folder / "masks" / split / f"{name}.png")
    names = enumerate(load_model("camvid-lite0").classes)
    lines = [f"  - {{name: {name}, value: {value}}}" for value, name in names]
    (folder / "dataset.yaml").write_text("\n".join(["classes:", *lines]) + "\n")


def write_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(PHOTO).resize((96, 72)).save(path)


def write_photos(folder: Path) -> None:
    write_photo(folder / "day1" / f"{folder.name}.png")


def write_runs(folder: Path) -> None:
    from atrous.weights import load_model, save_model

    for name in ("first", "second"):
        recipe = load_recipe("default", ["data.source=my-data"]).to_yaml()
        save_model(load_model("camvid-lite0"), folder / name / "best.safetensors")
        (folder / name / "recipe.yaml").write_text(recipe)
        (folder / name / "metrics.csv").write_text("step,loss,val_mean_iou\n10,1.5,0.2\n20,1,0.3\n")


def write_checkpoint(path: Path) -> None:
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    model = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), path)


def write_onnx(path: Path) -> None:
    from atrous.export import export
    from atrous.models import create_model

    model = create_model("deeplabv3", backbone="test_resnet", num_classes=3, rates=(1, 2, 3))
    export(model.eval(), path, to="onnx")


# Files that the pages take for granted, made where a page names them.
FILES = {
    "photo.jpg": write_photo,
    "street.jpg": write_photo,
    "holiday": write_photos,
    "trip": write_photos,
    "incoming": write_photos,
    "runs": write_runs,
    "my-data": write_my_data,
    "other.pth": write_checkpoint,
    "deeplabv3_resnet50_coco.pth": write_checkpoint,
    "street.onnx": write_onnx,
}


# What a tutorial takes minutes with, and what shows as well that its lines run.
HURRY = {
    "train.epochs=5": "train.max_steps=2",
    '{"train": 240, "val": 40, "test": 8}': '{"train": 16, "val": 4, "test": 2}',
    "train.max_steps=4": "train.max_steps=2",
}


def follow(page: Path, capsys, *, hurry: bool = False) -> None:
    """Do what a page says, in order; what it shows as printed must have been printed."""
    names: dict[str, object] = {}
    exec("import atrous", names)  # noqa: S102, a page imports it once, or means to
    printed = ""
    for block in blocks(page):
        if not block.runs:
            continue
        text = block.text
        for slow, quick in HURRY.items() if hurry else ():
            text = text.replace(slow, quick)
        if block.language == "python":
            exec(compile(text, str(page), "exec"), names)  # noqa: S102, our own pages
        for line in lines_of(text) if block.language == "sh" else ():
            assert main(shlex.split(line, comments=True)[1:]) == 0, line
        printed += capsys.readouterr().out
        if block.language == "text" and not block.title:
            for line in filter(str.strip, block.text.splitlines()):
                assert " ".join(line.split()) in " ".join(printed.split())


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if any(block.language in ("python", "sh") for block in blocks(page))
        and page not in TUTORIALS
    ],
    ids=name_of,
)
def test_its_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image.Image, "show", lambda picture: picture.load())
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code = "".join(block.text for block in python(page) if block.runs)
    for name, write in FILES.items():
        if f'"{name}"' in code:
            write(tmp_path / name)
    follow(page, capsys)


def test_hardly_any_python_is_left_out():
    all_of_it = [block for page in PAGES for block in python(page)]
    left_out = [block for block in all_of_it if not block.runs]
    assert len(all_of_it) > 20
    assert len(left_out) <= 3


# Commands -----------------------------------------------------------------------------------------


def commands(page: Path) -> list[str]:
    """Return the lines `atrous …`, in indented and in fenced blocks, without their comments."""
    text = page.read_text(encoding="utf-8")
    fenced = "".join(block.text for block in blocks(page) if block.language == "sh")
    lines = re.findall(r"^    (.*\batrous .*)$", _FENCE.sub("", text), flags=re.MULTILINE)
    lines += lines_of(fenced)
    lines = [re.split(r"\s#\s|\s>\s", line)[0] for line in lines]
    lines = [part for line in lines for part in re.split(r"\s[|&]+\s", line)]
    lines = [re.sub(r"^torchrun .* -m (?=atrous )", "", line) for line in lines]
    return [line for line in lines if line.startswith("atrous ")]


# These take minutes, or the network; tutorials and the tests of the commands run their like.
# The same holds for what `export` wrote.
LONG = ("train", "reproduce", "bench", "export", "convert", "serve")


def short_commands() -> list[str]:
    """Return the commands of all pages but the tutorials that are done in a moment."""
    lines = (line.strip() for page in PAGES if page not in TUTORIALS for line in commands(page))
    short = dict.fromkeys(line for line in lines if line.split()[1] not in LONG)
    return [
        line for line in short if not re.search(r"COMMAND|--\w+$|torchvision/|\.(onnx|xml)\b", line)
    ]


def test_its_short_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "holiday", "trip", "incoming", "runs", "my-data"):
        FILES[name](tmp_path / name)
    lines = short_commands()
    assert len(lines) > 15
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, f"{line}\n{capsys.readouterr().err}"


def lines_of(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


def inline(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page in PAGES for line in commands(page)], ids=name_of
)
def test_its_commands_can_be_parsed(page, line, capsys):
    words = [word for word in shlex.split(line)[1:] if word != "--debug"]
    if words[0] in ("COMMAND", "--help", "--version"):
        return
    try:
        options = _parse(words[0], words[1:])
    except SystemExit:
        pytest.fail(f"{line}\n{capsys.readouterr()}")
    settings = [setting for setting in getattr(options, "set", ()) if "VALUE" not in setting]
    recipe = getattr(options, "recipe", "default") or "default"
    load_recipe("default" if recipe.endswith(".yaml") else recipe, tuple(settings))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_it_says_of_commands_is_so(page):
    for code in inline(page):
        if found := re.match(r"atrous ([a-z]+)\b(.*)", code):
            assert found[1] in COMMANDS, code
            fields = options_of(found[1])
            assert {*re.findall(r"--([a-z-]+)", found[2])} <= fields | {"help"}, code


def options_of(command: str) -> set[str]:
    from importlib import import_module

    entry = COMMANDS[command]
    fields = getattr(import_module(entry.module), entry.name).__dataclass_fields__
    names = {name.replace("_", "-") for name in fields}
    return names | {f"no-{name}" for name in names}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_its_settings_are_those_of_recipes(page):
    for code in inline(page):
        setting = code.removeprefix("--set ").strip("'")
        if re.fullmatch(r"(model|data|loss|optim|train)\.\w+=[^ …]+", setting):
            if setting.partition("=")[2].isupper():  # NAME, FILE
                continue
            load_recipe("default", ("loss.dice=1", setting))  # so that another may be 0


# YAML ---------------------------------------------------------------------------------------------


def yaml_blocks(page: Path) -> list[str]:
    """Return the fenced blocks of YAML, and the indented ones that are of a recipe."""
    text = page.read_text(encoding="utf-8")
    indented = re.findall(r"(?:^(?:    .*)?\n)+", _FENCE.sub("", text), flags=re.MULTILINE)
    parts = (textwrap.dedent(block).strip("\n") for block in indented)
    found = [part for part in parts if part.partition(":")[0] in Recipe.model_fields]
    return found + [block.text for block in blocks(page) if block.language == "yaml"]


@pytest.mark.parametrize("page", [page for page in PAGES if yaml_blocks(page)], ids=name_of)
def test_its_yaml_is_what_it_is_shown_for(page, tmp_path):
    for text in yaml_blocks(page):
        values = yaml.safe_load(text)
        if "classes" in values:
            write_my_data(tmp_path / "my-data")
            (tmp_path / "my-data" / "dataset.yaml").write_text(text)
            assert open_dataset(str(tmp_path / "my-data"), "val").classes
        else:
            values.setdefault("train", {}).setdefault("max_steps", 1)
            values["train"].pop("epochs", None)
            (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
            load_recipe(tmp_path / "recipe.yaml")


def test_there_is_yaml_to_read():
    assert sum(len(yaml_blocks(page)) for page in PAGES) >= 5


# Tutorials ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_a_tutorial_can_be_followed(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    follow(page, capsys, hurry=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_training_of_ten_minutes_word_for_word(tmp_path, monkeypatch, capsys):
    import json

    monkeypatch.chdir(tmp_path)
    follow(DOCS / "tutorial" / "train-in-ten-minutes.md", capsys, hurry=False)
    scores = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert scores["mean_iou"] > 0.4
