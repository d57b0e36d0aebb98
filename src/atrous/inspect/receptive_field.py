"""How much of the image each layer can see at most: followed through every operation of a pass.

The pass runs on torch's meta device, which computes shapes only. A window widens the field by its
effective kernel less one, in steps of the stride so far, as in `atrous.nn.geometry`; where maps
meet, the widest counts.
"""

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from atrous.nn.geometry import effective_kernel

_WHOLE_MAP = ("native_group_norm", "_softmax", "_safe_softmax", "_adaptive_avg_pool2d")


class Field(NamedTuple):
    """What one cell of a map sees of the image.

    Attributes:
        rows: Image pixels from the first to the last row that kernels reach.
        columns: The same across.
        stride: Image pixels per cell, along (rows, columns).
        sees_all: Whether a mean over a whole map lets it see everything, beyond all kernels.
    """

    rows: float
    columns: float
    stride: tuple[float, float] = (1.0, 1.0)
    sees_all: bool = False


def receptive_fields(
    network: nn.Module, shape: tuple[int, ...], layers: Iterable[str]
) -> Mapping[str, Field]:
    """Return the theoretical receptive field behind each layer that is named.

    Args:
        network: Stays as it is.
        shape: Of the images, the batch first.
        layers: Names, as in `named_modules`, of layers that return one map.

    Raises:
        ValueError: The network does not take images of this shape.

    Example:
        >>> stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        >>> network = nn.Sequential(stem, nn.Conv2d(8, 8, 3, padding=12, dilation=12))
        >>> receptive_fields(network, (1, 3, 65, 65), ["1"])["1"]
        Field(rows=51.0, columns=51.0, stride=(2.0, 2.0), sees_all=False)
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    walk, found = _Walk(), {}
    for name in layers:

        def note(_layer: object, _inputs: object, output: Tensor, name: str = name) -> None:
            found[name] = walk.field_of(output)

        shadow.get_submodule(name).register_forward_hook(note)
    image = torch.empty(shape, device="meta")
    walk.begin(image)
    with torch.no_grad(), warnings.catch_warnings(), walk:
        warnings.simplefilter("ignore")  # the image is made up: a word on its size misleads
        try:
            shadow(image)
        except RuntimeError as error:
            raise ValueError(f"images of {shape} do not pass: {error}") from error
    return found


class _Walk(TorchDispatchMode):
    """Gives each tensor that comes from the image its field."""

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[int, Field] = {}
        self._kept: list[Tensor] = []  # so that no id comes up twice

    def begin(self, image: Tensor) -> None:
        self._set(image, Field(1.0, 1.0))

    def field_of(self, x: Tensor) -> Field:
        return self._fields[id(x)]

    def _set(self, x: Tensor, field: Field) -> None:
        self._kept.append(x)
        self._fields[id(x)] = field

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        read = [self._fields[id(leaf)] for leaf in tree_leaves(args) if id(leaf) in self._fields]
        if read:
            field = _behind(func.overloadpacket.__name__, args, output, _joined(read))
            for leaf in tree_leaves(output):
                if isinstance(leaf, Tensor):
                    self._set(leaf, field)
        return output


def _joined(fields: list[Field]) -> Field:
    return Field(
        max(field.rows for field in fields),
        max(field.columns for field in fields),
        max(field.stride for field in fields),
        any(field.sees_all for field in fields),
    )


def _behind(operation: str, args: Any, output: Any, field: Field) -> Field:
    """Return the field of what an operation makes of maps of `field`."""
    if operation.startswith("upsample"):
        (height, width), (high, wide) = args[0].shape[-2:], output.shape[-2:]
        down, right = field.stride
        return field._replace(stride=(down * height / high, right * width / wide))
    if _mixes_all_cells(operation, args):
        return field._replace(sees_all=True)
    window = _window(operation, args)
    if window is None:
        return field
    kernel, strides, rates = window
    spans = [effective_kernel(taps, rate) - 1 for taps, rate in zip(kernel, rates, strict=True)]
    down, right = field.stride
    return field._replace(
        rows=field.rows + spans[0] * down,
        columns=field.columns + spans[1] * right,
        stride=(down * strides[0], right * strides[1]),
    )


def _mixes_all_cells(operation: str, args: Any) -> bool:
    if operation in _WHOLE_MAP or "scaled_dot_product" in operation:
        return True
    if operation not in ("mean", "linalg_vector_norm") or args[0].ndim != 4:
        return False
    dims = next((arg for arg in args if isinstance(arg, list | tuple)), ())
    return len([dim for dim in dims if args[0].shape[dim] > 1]) > 1


def _window(operation: str, args: Any) -> tuple[Any, Any, Any] | None:
    """Return kernel, stride and rate of a window, each along (rows, columns)."""
    if operation == "convolution" and args[0].ndim == 4 and not args[6]:
        return args[1].shape[-2:], args[3], args[5]
    if operation in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        rates = args[4] if operation[0] == "m" and len(args) > 4 else (1, 1)
        return kernel, _pair(stride), _pair(rates)
    return None


def _pair(values: Any) -> tuple[int, int]:
    return values[0], values[-1]
