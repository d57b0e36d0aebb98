"""What users may rely on. Whoever changes these lists changes a promise."""

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import atrous

PUBLIC = {
    "Segmentation",
    "Segmenter",
    "__version__",
    "convert",
    "create_model",
    "data",
    "label_map",
    "load_model",
    "losses",
    "metrics",
    "nn",
    "optimize",
    "save_model",
}
ROOMS = {
    "data": {
        "IGNORE_INDEX",
        "ClassEntry",
        "Dataset",
        "FolderDataset",
        "FoundImage",
        "LabelScheme",
        "Sample",
        "ShapesDataset",
        "decode_image",
        "default_palette",
        "find_images",
        "open_dataset",
        "read_image",
        "read_mask",
    },
    "losses": {"dice_loss", "focal_loss", "lovasz_softmax", "upsampled_cross_entropy"},
    "metrics": {
        "ConfusionMatrix",
        "Scores",
        "class_iou",
        "frequency_weighted_iou",
        "mean_class_accuracy",
        "mean_iou",
        "pixel_accuracy",
    },
    "nn": {"ASPP", "BatchNorm2d", "ConvNormAct", "Decoder", "geometry"},
}


def test_the_public_names_are_these():
    assert set(atrous.__all__) == PUBLIC
    assert len(atrous.__all__) == len(PUBLIC)
    assert dir(atrous) == sorted(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there(name):
    assert getattr(atrous, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'atrous' has no attribute 'Segmentr'"):
        _ = atrous.Segmentr


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_names(room):
    missing = {name for name in ROOMS[room] if not hasattr(getattr(atrous, room), name)}
    assert not missing


# What a docstring says: of every name that docs/api.md lists --------------------------------------

API = Path(__file__).parents[2] / "docs" / "api.md"
LISTED = re.findall(r"^::: (atrous[\w.]*)$", API.read_text(encoding="utf-8"), flags=re.MULTILINE)
SHAPE = re.compile(r"\((?:[A-Z]\w*|\d+|in_channels|num_classes)(?:, [\w' +*]+)+,?\)|\bshapes?\b")
UNIT = re.compile(r"\b(?:cells?|pixels?|rows|columns|taps)\b")
LENGTHS = {"rate", "rates", "height", "width", "size", "crop_size", "output_stride", "input_shape"}
PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}|CVPR|ECCV|ICCV")
NOT_OF_A_PAPER = {"BatchNorm2d", "Pyramid", "DeadTapsWarning"}


def found(name: str) -> object:
    """Return what a name of docs/api.md stands for: a module, or something in one."""
    try:
        return importlib.import_module(name)
    except ImportError:
        module, _, own = name.rpartition(".")
        return getattr(importlib.import_module(module), own)


def public() -> dict[str, Any]:
    """Everything public that can be called, by name; of a module, what is defined there."""
    things = {name: found(name) for name in LISTED}
    for name, module in list(things.items()):
        if inspect.ismodule(module):
            own = (pair for pair in vars(module).items() if inspect.getmodule(pair[1]) is module)
            things |= {f"{name}.{what}": thing for what, thing in own if what[0] != "_"}
    return {name: thing for name, thing in things.items() if callable(thing)}


PUBLISHED = public()


def functions(thing: Any) -> Iterator[tuple[Any, str, str]]:
    """Yield functions or public methods, each with its docstring, and that with its class's."""
    if not inspect.isclass(thing):
        yield thing, inspect.getdoc(thing) or "", inspect.getdoc(thing) or ""
        return
    for name, method in vars(thing).items():
        function = method.fget if isinstance(method, property) else method
        if inspect.isfunction(function) and (name[0] != "_" or name == "__call__"):
            own = inspect.getdoc(function) or ""
            yield function, own, f"{own}\n{inspect.getdoc(thing)}"


def is_record(thing: Any) -> bool:
    """Return whether something only holds values, is to be built upon, or is a warning."""
    if not inspect.isclass(thing):
        return False
    holds = dataclasses.is_dataclass(thing) or hasattr(thing, "_fields")
    return (
        holds
        or issubclass(thing, BaseModel | Warning)
        or inspect.isabstract(thing)
        or getattr(thing, "_is_protocol", False)
        or "Abstract" in (thing.__doc__ or "")
    )


def test_there_is_enough_to_check():
    assert len(PUBLISHED) > 80
    assert {f"atrous.{room}.{name}" for room in ROOMS for name in ROOMS[room]} <= {
        *PUBLISHED,
        *LISTED,
    }
    reached = {thing.__name__ for thing in PUBLISHED.values()}
    assert {name for name in PUBLIC if callable(getattr(atrous, name))} <= reached


def test_each_says_what_it_is():
    for name, thing in PUBLISHED.items():
        for text in (inspect.getdoc(thing) or "", *(own for _, own, _ in functions(thing))):
            assert text.partition("\n")[0].endswith("."), (name, text)


def test_each_shows_how_it_is_used():
    texts = {n: inspect.getdoc(thing) for n, thing in PUBLISHED.items() if not is_record(thing)}
    assert len(texts) > 55
    assert [name for name, text in texts.items() if not re.search("Example:\n *>>> ", text)] == []
    skipped = [name for name, text in texts.items() if "+SKIP" in text]
    assert len(skipped) <= 3  # what takes minutes, the network, or a folder of one's own


def test_what_takes_or_gives_tensors_says_their_shape():
    for name, thing in PUBLISHED.items():
        for function, _, text in functions(thing):
            signature = inspect.signature(function)
            kinds = [
                signature.return_annotation,
                *(parameter.annotation for parameter in signature.parameters.values()),
            ]
            if any(re.search(r"\b(Tensor|ndarray)\b", str(kind)) for kind in kinds):
                assert SHAPE.search(text), (name, function)


def test_what_takes_lengths_says_their_unit():
    for name, thing in PUBLISHED.items():
        calls = [(function, text) for function, _, text in functions(thing)]
        if inspect.isclass(thing) and inspect.isfunction(vars(thing).get("__init__")):
            calls.append((vars(thing)["__init__"], inspect.getdoc(thing) or ""))
        for call, text in calls:
            if LENGTHS & set(inspect.signature(call).parameters):
                assert UNIT.search(text), (name, call)


def test_what_raises_says_so():
    for name, thing in PUBLISHED.items():
        for function, _, text in functions(thing):
            body = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))
            if any(isinstance(node, ast.Raise) and node.exc is not None for node in body):
                assert "Raises:" in text or re.search(r"as `\w+` does", text), (name, function)


def test_every_layer_and_loss_names_its_paper():
    rooms = ("atrous.nn.", "atrous.losses.")
    ours = {name: thing for name, thing in PUBLISHED.items() if name.startswith(rooms)}
    assert len(ours) > 25
    for name, thing in ours.items():
        text = f"{inspect.getdoc(thing)}\n{inspect.getdoc(inspect.getmodule(thing))}"
        assert PAPER.search(text) or thing.__name__ in NOT_OF_A_PAPER, name
