"""What users may rely on. Whoever changes these lists changes a promise."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

import pytest

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
CALLABLES = [name for name in sorted(PUBLIC) if callable(getattr(atrous, name))]


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


@pytest.mark.parametrize("room", ROOMS)
def test_everything_in_a_room_is_described(room):
    for name in ROOMS[room]:
        thing = getattr(getattr(atrous, room), name)
        if callable(thing):
            assert thing.__doc__, name
            assert thing.__doc__.splitlines()[0].endswith("."), name


def examples() -> list[tuple[str, object]]:
    """What must show how it is used: the public names, the layers and the losses."""
    things = [(name, getattr(atrous, name)) for name in CALLABLES]
    for room in ("losses", "nn"):
        things += [(name, getattr(getattr(atrous, room), name)) for name in sorted(ROOMS[room])]
    geometry = atrous.nn.geometry
    things += [pair for pair in vars(geometry).items() if inspect.getmodule(pair[1]) is geometry]
    functions = [(name, thing) for name, thing in things if callable(thing) and name[0] != "_"]
    return [(name, thing) for name, thing in functions if name != "Layer"]  # of receptive_field


@pytest.mark.parametrize(("name", "thing"), examples(), ids=lambda value: str(value)[:20])
def test_everything_public_has_an_example(name, thing):
    text = inspect.getdoc(thing) or ""
    assert "Example:" in text, name
    assert ">>> " in text, name


def test_there_are_examples_to_check():
    assert len(examples()) >= 15


# What a docstring says ----------------------------------------------------------------------------

# Scores of the same matrix as class_iou, which says what its axes are.
SHAPED_ELSEWHERE = {"mean_iou", "pixel_accuracy", "mean_class_accuracy", "frequency_weighted_iou"}
SHAPE = re.compile(r"\((?:[A-Z]\w*|\d+|in_channels|num_classes)(?:, [\w' +*]+)+,?\)|\bshapes?\b")
PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}|CVPR|ECCV|ICCV")
NOT_OF_A_PAPER = {"BatchNorm2d", "Pyramid", "DeadTapsWarning"}


def public() -> dict[str, object]:
    """Everything public that can be called, by name."""
    found = {name: getattr(atrous, name) for name in CALLABLES}
    for room in ROOMS:
        found |= {
            name: thing for name, thing in vars(getattr(atrous, room)).items() if name[0] != "_"
        }
    return {name: thing for name, thing in found.items() if callable(thing)}


def functions(thing: object) -> Iterator[tuple[object, str]]:
    """Yield functions or methods, each with its docstring and what its class says."""
    if inspect.isclass(thing):
        methods = [f for name, f in vars(thing).items() if inspect.isfunction(f) and name[0] != "_"]
        yield from ((f, f"{inspect.getdoc(f)}\n{inspect.getdoc(thing)}") for f in methods)
    else:
        yield thing, inspect.getdoc(thing) or ""


@pytest.mark.parametrize("name", sorted(public().keys() - SHAPED_ELSEWHERE))
def test_what_takes_or_gives_tensors_says_their_shape(name):
    for function, text in functions(public()[name]):
        signature = inspect.signature(function)
        kinds = [
            signature.return_annotation,
            *(p.annotation for p in signature.parameters.values()),
        ]
        if any(re.search(r"\b(Tensor|ndarray)\b", str(kind)) for kind in kinds):
            assert SHAPE.search(text), (name, function)


@pytest.mark.parametrize("name", sorted(public()))
def test_what_raises_says_so(name):
    for function, text in functions(public()[name]):
        body = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function))))
        if any(isinstance(node, ast.Raise) and node.exc is not None for node in body):
            assert "Raises:" in text or re.search(r"as `\w+` does", text), (name, function)


def test_every_layer_names_its_paper():
    layers = {name: thing for name, thing in vars(atrous.nn).items() if inspect.isclass(thing)}
    assert len(layers) > 10
    for name, thing in layers.items():
        text = f"{inspect.getdoc(thing)}\n{inspect.getdoc(inspect.getmodule(thing))}"
        assert PAPER.search(text) or name in NOT_OF_A_PAPER, name
