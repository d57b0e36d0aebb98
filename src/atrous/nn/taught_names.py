"""The names that the layers of ASPP have where it is taught, so that such a state dict just loads.

There each layer is an attribute of its own: `conv_1x1_1` to `conv_1x1_4`, `conv_3x3_1` and so on,
and `bn_` before the name for the batch norm behind it.
"""

from typing import Any

from torch import Tensor, nn

_BLOCKS = {"conv_1x1_1": "point", "conv_1x1_2": "image", "conv_1x1_3": "project"}


def our_names(num_rates: int) -> dict[str, str]:
    """Return the name that each layer has in `atrous.nn.ASPP`, by its taught name.

    Example:
        >>> names = our_names(3)
        >>> names["bn_conv_3x3_1"], names["conv_1x1_4"]
        ('atrous.0.1', 'classifier')
    """
    branches = {f"conv_3x3_{k + 1}": f"atrous.{k}" for k in range(num_rates)}
    blocks = _BLOCKS | branches
    convs = {taught: f"{ours}.0" for taught, ours in blocks.items()}
    norms = {f"bn_{taught}": f"{ours}.1" for taught, ours in blocks.items()}
    return convs | norms | {"conv_1x1_4": "classifier"}


def accept_taught_names(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """Rename the taught names below `prefix`; a hook that runs before ASPP loads a state dict.

    Args:
        module: The ASPP, whose `rates` tell the number of its branches.
        state_dict: What is loaded; changed in place.
        prefix: What stands before the names of the module, such as `pyramid.`.
    """
    names = our_names(len(module.rates))  # pyright: ignore[reportArgumentType]
    for key in list(state_dict):
        layer, _dot, tensor = key.removeprefix(prefix).rpartition(".")
        if key.startswith(prefix) and layer in names:
            state_dict[f"{prefix}{names[layer]}.{tensor}"] = state_dict.pop(key)
