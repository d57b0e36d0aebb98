"""Finding the weights in what training programs save, and what is said beside them."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atrous.errors import DataError, UsageError
from atrous.weights.checkpoint_reader import read_checkpoint
from atrous.weights.peers.names import NO_HINTS, Hints

# Where the weights stand. Moving averages come last: what stands beside them was chosen.
_HOLDERS = (
    *("model", "state_dict", "model_state", "model_state_dict", "net", "network"),
    *("ema", "model_ema", "ema_state_dict"),
)
# What DataParallel, torch.compile and Lightning put before each name.
_PREFIXES = ("module.", "_orig_mod.", "model.")
_AVERAGE_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel


@dataclass(frozen=True)
class Checkpoint:
    """Weights, and what their source says beside them.

    Attributes:
        name: The source in messages.
        state: The tensors by their names, on the CPU; floating ones are float32.
        beside: {name: why it is not read}, for the rest of the source.
        hints: What a live module says of itself.
        classes: Names of the classes; None where the source has none.
        palette: One (red, green, blue) for each class.
        module: The live module, a copy in eval mode; None for files and state dicts.
    """

    name: str
    state: dict[str, Tensor]
    beside: dict[str, str] = field(default_factory=dict)
    hints: Hints = NO_HINTS
    classes: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    module: nn.Module | None = None


def open_checkpoint(source: str | Path | Mapping[str, Any] | nn.Module) -> Checkpoint:
    """Return the weights of a file, a state dict with or without holders, or a live module.

    Raises:
        DataError: The file cannot be read, or there are no weights in it, or not finite ones.
        UsageError: The source is none of these.

    Example:
        >>> open_checkpoint({"state_dict": {"module.a.weight": torch.ones(1)}, "epoch": 3}).beside
        {'epoch': 'stands beside the weights'}
    """
    if isinstance(source, nn.Module):
        return _open_module(source)
    if isinstance(source, Mapping):
        return _open_tree("the state dict", source)
    if isinstance(source, str | Path):
        return _open_tree(str(source), read_checkpoint(source))
    raise UsageError(f"convert takes a file, a state dict or a module, got {type(source).__name__}")


def _open_module(module: nn.Module) -> Checkpoint:
    for holder in ("_orig_mod", "module"):  # of torch.compile and DataParallel
        inner = getattr(module, holder, None)
        module = inner if isinstance(inner, nn.Module) else module
    module = copy.deepcopy(module).cpu().float().eval()
    name = f"the module {type(module).__name__}"
    state = _checked(name, module.state_dict())
    return Checkpoint(
        name, state, hints=_hints_of(module), classes=_labels_of(module), module=module
    )


def _open_tree(name: str, tree: Mapping[str, Any]) -> Checkpoint:
    """Return the innermost holder's tensors, and the classes that any level states."""
    beside: dict[str, str] = {}
    classes = palette = None
    while holders := [key for key in _HOLDERS if isinstance(tree.get(key), Mapping)]:
        classes, palette = classes or _meta(tree, "classes"), palette or _meta(tree, "palette")
        beside |= {key: "stands beside the weights" for key in tree if key != holders[0]}
        tree = tree[holders[0]]
    if not any(isinstance(value, Tensor | np.ndarray) for value in tree.values()):
        raise DataError(f"{name}: no weights are found in it; it has {_listed(tree)}")
    state = _without_prefixes(tree, beside)
    return Checkpoint(
        name,
        _checked(name, state),
        beside,
        classes=_as_names(classes),
        palette=_as_colors(palette),
    )


def _without_prefixes(state: Mapping[str, Any], beside: dict[str, str]) -> dict[str, Any]:
    """Remove the prefixes that all names have, and the counter beside a moving average."""
    state = dict(state)
    if _AVERAGE_COUNTER in state:
        del state[_AVERAGE_COUNTER]
        beside[_AVERAGE_COUNTER] = "counts the steps of a moving average"
    while prefix := next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _checked(name: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors as float32 on the CPU, all of them finite."""
    checked = {}
    for key, value in state.items():
        tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        if not isinstance(tensor, Tensor):
            raise DataError(f"{name}: {key} is no tensor among the weights, but {str(value)[:40]}")
        tensor = tensor.detach().cpu()
        checked[key] = tensor.float() if tensor.is_floating_point() else tensor
    broken = [key for key, tensor in checked.items() if not tensor.isfinite().all()]
    if broken:
        raise DataError(
            f"{name}: {len(broken)} tensors have values that are not finite: "
            f"{', '.join(broken[:3])}; take a checkpoint from before the training diverged"
        )
    return checked


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(list(names)[:5]) or "nothing"


def _meta(tree: Mapping[str, Any], word: str) -> Any:
    """Return the classes or palette that OpenMMLab's programs write under `meta`."""
    meta = tree.get("meta")
    levels = [meta, meta.get("dataset_meta")] if isinstance(meta, Mapping) else []
    found = (
        level.get(w) for level in levels if isinstance(level, Mapping) for w in (word, word.upper())
    )
    return next((value for value in found if value is not None), None)


def _as_names(classes: Any) -> tuple[str, ...] | None:
    return tuple(map(str, classes)) if isinstance(classes, Sequence) else None


def _as_colors(palette: Any) -> tuple[tuple[int, int, int], ...] | None:
    rows = palette.tolist() if isinstance(palette, Tensor | np.ndarray) else palette
    if not isinstance(rows, Sequence) or not all(isinstance(row, Sequence) for row in rows):
        return None
    return tuple((int(row[0]), int(row[1]), int(row[2])) for row in rows if len(row) == 3)


def _hints_of(module: nn.Module) -> Hints:
    """Return what a live module's plain attributes say; what they are called differs by library."""
    config = getattr(module, "config", None)
    name = getattr(module, "name", None)
    backbone = name.partition("-")[2] if isinstance(name, str) else None  # deeplabv3-resnet34
    stride = getattr(config, "output_stride", None)
    encoder = getattr(module, "encoder", None)
    stride = stride or getattr(encoder, "output_stride", None)
    rates = getattr(config, "atrous_rates", None) or _rates_of(module)
    return Hints(
        backbone or None,
        stride if isinstance(stride, int) else None,
        tuple(rates) if rates else None,
    )


def _rates_of(module: nn.Module) -> list[int]:
    """Return the rates of a pyramid that is built as torchvision's: of each branch's 3x3."""
    branches = [part for part in module.modules() if type(part).__name__.startswith("ASPP")]
    branches = [part for part in branches if type(part).__name__.endswith("Conv")]
    return [
        next(
            p.dilation[0]
            for p in branch.modules()
            if isinstance(p, nn.Conv2d) and p.kernel_size[0] > 1
        )
        for branch in branches
    ]


def _labels_of(module: nn.Module) -> tuple[str, ...] | None:
    """Return the classes in the config of transformers, unless it has numbered them itself."""
    labels = getattr(getattr(module, "config", None), "id2label", None)
    if not isinstance(labels, Mapping) or all(str(v).startswith("LABEL_") for v in labels.values()):
        return None
    return tuple(str(labels[number]) for number in sorted(labels))
