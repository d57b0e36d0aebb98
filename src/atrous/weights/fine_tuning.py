"""Models for other classes: what was learnt about a class that stays is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from atrous.errors import UsageError
from atrous.models import SegmentationModel, build
from atrous.nn.conv import classifier
from atrous.weights.conversion import convert
from atrous.weights.model_file import build_filled
from atrous.weights.zoo import load_model


@dataclass(frozen=True)
class ClassChange:
    """What became of the classes of a model.

    Attributes:
        kept: Those that it knew; they begin with what it learnt.
        new: Those that begin without preference.
        dropped: Those that it knew and has no more.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for each kind."""
        kinds = {"kept": self.kept, "new": self.new, "dropped": self.dropped}
        return "\n".join(
            f"{kind:8} {len(names):3}  {', '.join(names)}".rstrip() for kind, names in kinds.items()
        )


def start_from(
    weights: str | Path,
    classes: Sequence[str],
    palette: Sequence[tuple[int, int, int]] | None = None,
) -> tuple[SegmentationModel, ClassChange]:
    """Return a model to train on, from a name, a model file or another library's checkpoint.

    Args:
        weights: What `load_model` takes, or a file that `convert` takes.
        classes: Names of the classes of the data set.
        palette: One (red, green, blue) for each.

    Returns:
        The model in training mode, and what became of its classes.

    Raises:
        UsageError: No model has this name, or a class is named twice.
        DataError: The weights cannot be had or read.

    Example:
        >>> model, change = start_from("camvid-lite0", ["sky", "road", "boat"])
        >>> model.classes, change.new
        (('sky', 'road', 'boat'), ('boat',))
    """
    model = convert(weights)[0] if _is_foreign(Path(weights)) else load_model(weights)
    adapted, change = adapt_classes(model, classes, palette)
    return adapted.train(), change


def adapt_classes(
    model: SegmentationModel,
    classes: Sequence[str],
    palette: Sequence[tuple[int, int, int]] | None = None,
) -> tuple[SegmentationModel, ClassChange]:
    """Return a copy of `model` that tells other classes apart.

    All of its layers are kept but the classifiers, the auxiliary one among them. Of these the rows
    of a class that is among the new ones are kept; all others are drawn as for a new model. Upper
    and lower case are the same, unless two classes differ in nothing else.

    Args:
        model: Any model; it stays as it is.
        classes: Names of the new classes, in the order of the logits to come.
        palette: One (red, green, blue) for each; the default colours when not given.

    Raises:
        UsageError: No class is given, or one twice, or not one colour for each.

    Example:
        >>> from atrous import create_model
        >>> names = ("road", "sky", "car")
        >>> model = create_model("deeplabv3", backbone="test_resnet", classes=names)
        >>> adapted, change = adapt_classes(model, ["Sky", "boat"])
        >>> change.kept, change.new, change.dropped
        (('Sky',), ('boat',), ('road', 'car'))
        >>> torch.equal(adapted.classifier.weight[0], model.classifier.weight[1])
        True
    """
    if not classes:
        raise UsageError("a model needs at least one class; give their names")
    rows = _rows(model.classes, classes)
    changed = model.blueprint.model_copy(update={"num_classes": len(classes)})
    state = model.state_dict()
    for layer in _classifiers(model):
        state |= _reclassified(layer, state, rows)
    adapted = build_filled("the adapted model", lambda: build(changed), state)
    adapted.name_classes(classes, palette)
    adapted.preprocessing = model.preprocessing
    kept = tuple(name for name, row in zip(classes, rows, strict=True) if row is not None)
    new = tuple(name for name, row in zip(classes, rows, strict=True) if row is None)
    dropped = tuple(name for row, name in enumerate(model.classes) if row not in rows)
    return adapted.train(model.training), ClassChange(kept, new, dropped)


def _rows(before: Sequence[str], after: Sequence[str]) -> list[int | None]:
    """Return, for each new class, the number of the old class that it was."""
    same = all(len({name.casefold() for name in names}) == len(names) for names in (before, after))
    form: Callable[[str], str] = str.casefold if same else str
    numbers = {form(name): number for number, name in enumerate(before)}
    return [numbers.get(form(name)) for name in after]


def _classifiers(model: SegmentationModel) -> list[str]:
    """Return the names of the layers whose size depends on the number of classes, and on no more.

    A network with one class more, on torch's meta device, shows which these are.
    """
    blueprint = model.blueprint
    with torch.device("meta"):
        larger = build(blueprint.model_copy(update={"num_classes": blueprint.num_classes + 1}))
    shapes = {key: tensor.shape for key, tensor in larger.state_dict().items()}
    return [
        key.removesuffix(".weight")
        for key, tensor in model.state_dict().items()
        if key.endswith(".weight") and tensor.shape != shapes[key]
    ]


def _reclassified(
    layer: str, state: dict[str, Tensor], rows: Sequence[int | None]
) -> dict[str, Tensor]:
    """Return weight and bias of a classifier for other classes."""
    weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
    fresh = classifier(weight.shape[1], len(rows), weight.shape[-1])
    new_weight, new_bias = fresh.weight.detach().to(weight), torch.zeros(len(rows)).to(bias)
    for number, row in enumerate(rows):
        if row is not None:
            new_weight[number], new_bias[number] = weight[row], bias[row]
    return {f"{layer}.weight": new_weight, f"{layer}.bias": new_bias}


def _is_foreign(file: Path) -> bool:
    """Return whether this is a file that another library wrote, as far as its beginning tells."""
    if not file.is_file():
        return False
    try:
        with safe_open(file, framework="pt") as opened:
            return "atrous" not in (opened.metadata() or {})
    except (SafetensorError, OSError):
        return file.suffix != ".safetensors"  # of a broken one, load_model says what is wrong
