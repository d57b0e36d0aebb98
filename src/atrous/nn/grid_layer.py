"""One layer of a network on the grid of the image: as it was built, and as it runs when held.

Where a network is held at an output stride, a layer behind the strides given up reads a map several
times as dense as it was built for: it steps by fewer cells, and its taps lie further apart.
"""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from atrous.nn.dense_layers import (
    DilatedAvgPool2d,
    DilatedBlurPool2d,
    FixedPadding,
    PadFirst,
    SamePadding,
)

Pair = tuple[int, int]

# Layers that pad as TensorFlow does, by the size of their input, and the same without padding.
_UNPADDED = {
    "Conv2dSame": nn.Conv2d,
    "MaxPool2dSame": nn.MaxPool2d,
    "AvgPool2dSame": nn.AvgPool2d,
}
_CHANGED = ("kernel_size", "stride", "dilation", "padding", "ceil_mode", "same_pad")


@dataclass(frozen=True)
class GridLayer:
    """A convolution or pooling as its network was built; pairs are (rows, columns).

    Attributes:
        kind: Its class.
        attributes: Those of its attributes that a change of stride touches.
        input_stride: Image pixels per cell of the map it reads.
        stride: Cells between neighbouring windows.
        dilation: Cells between neighbouring taps.
        before: Cells of padding above and to the left; None where the padding follows the size of
            the input, as in TensorFlow.
        after: Cells of padding below and to the right.
        has_unit: Whether a multi-grid gives its rate, in the first block of a stage too.
    """

    kind: type[nn.Module]
    attributes: dict[str, Any]
    input_stride: int
    kernel_size: Pair
    stride: int
    dilation: Pair
    before: Pair | None
    after: Pair
    has_unit: bool = False

    @property
    def output_stride(self) -> int:
        """Image pixels per cell of the map it writes."""
        return self.input_stride * self.stride


def as_built(name: str, module: Any, input_stride: int) -> GridLayer:
    """Return what `module`, called `name`, is on the grid before anything has changed.

    Raises:
        ValueError: Its stride is no power of two, or differs between the axes.
    """
    rows, columns = _pair(module.stride)
    if rows != columns or rows & (rows - 1):
        raise ValueError(f"layer {name} strides by {(rows, columns)}, not by one power of two")
    kernel_size = _pair(getattr(module, "filt_size", None) or module.kernel_size)
    dilation = _pair(getattr(module, "dilation", 1))
    before, after = _padding_of(module, kernel_size, dilation)
    return GridLayer(
        type(module),
        {key: getattr(module, key) for key in _CHANGED if hasattr(module, key)},
        input_stride,
        kernel_size,
        rows,
        dilation,
        before,
        after,
    )


def _padding_of(module: Any, kernel_size: Pair, dilation: Pair) -> tuple[Pair | None, Pair]:
    if type(module).__name__ in _UNPADDED or getattr(module, "same_pad", False):
        return None, (0, 0)
    padding = module.padding
    if padding == "same":
        reach = [rate * (taps - 1) for rate, taps in zip(dilation, kernel_size, strict=True)]
        before = (reach[0] // 2, reach[1] // 2)
        return before, (reach[0] - before[0], reach[1] - before[1])
    if padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, list) and len(padding) == 4:  # a BlurPool2d
        left, right, above, below = padding
        return (above, left), (below, right)
    return _pair(padding), _pair(padding)


def at_rate(layer: GridLayer, rate: int) -> GridLayer:
    """Return a convolution as if built at `rate` times its own, padded in proportion."""
    if layer.kernel_size == (1, 1):
        return layer
    dilation = _times(layer.dilation, rate)
    before = layer.before and _times(layer.before, rate)
    attributes = layer.attributes | {"dilation": dilation}
    if before is not None and layer.attributes["padding"] != "same":
        attributes["padding"] = before
    after = _times(layer.after, rate)
    return replace(
        layer,
        attributes=attributes,
        dilation=dilation,
        before=before,
        after=after,
        has_unit=True,
    )


def restore(module: Any, layer: GridLayer) -> None:
    """Bring a layer back to how it was built."""
    module.__class__ = layer.kind
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, PadFirst):
            del module._forward_pre_hooks[key]
    module.__dict__ = {
        key: value for key, value in module.__dict__.items() if key not in ("dilation", "pads")
    } | layer.attributes


def densify(
    module: Any,
    layer: GridLayer,
    *,
    lost: int,
    stride: int,
    rate: int,
    even_padding: bool = False,
    dense_means: bool = True,
) -> None:
    """Let a layer run on a denser map.

    Args:
        module: The layer.
        layer: The same as it was built.
        lost: How many times denser its input is than it was built for.
        stride: Cells between its windows from now on.
        rate: What multiplies its own rate.
        even_padding: Pad both sides alike even if it padded by the size of its input.
        dense_means: Leave an average pooling its window, though it has lost its stride.
    """
    if layer.before is None and not (even_padding and stride == 1):
        padding = SamePadding(layer.kernel_size, layer.stride, layer.dilation, stride, rate, lost)
    else:
        padding = _fixed_padding(layer, rate)
    module.stride = (stride, stride)
    if layer.kernel_size == (1, 1) and layer.before == (0, 0):
        return
    if not dense_means and stride < layer.stride and isinstance(module, nn.AvgPool2d):
        module.kernel_size, module.padding = (1, 1), (0, 0)
        return
    module.dilation = _times(layer.dilation, rate)
    if not isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
        is_mean = isinstance(module, nn.AvgPool2d)
        module.__class__ = DilatedAvgPool2d if is_mean else DilatedBlurPool2d
        module.pads = padding
        return
    module.__class__ = _UNPADDED.get(layer.kind.__name__, layer.kind)
    for switch in ("same_pad", "ceil_mode"):
        if hasattr(module, switch):
            setattr(module, switch, False)
    is_pooling = isinstance(module, nn.MaxPool2d)  # which pads by half its kernel at most
    if isinstance(padding, FixedPadding) and padding.is_even and not is_pooling:
        module.padding = padding.pads[2], padding.pads[0]
    else:
        module.padding = (0, 0)
        value = float("-inf") if is_pooling else 0.0
        module.register_forward_pre_hook(PadFirst(padding, value))


def _fixed_padding(layer: GridLayer, rate: int) -> FixedPadding:
    above, below = _pads_along(layer, 0)
    left, right = _pads_along(layer, 1)
    return FixedPadding((left * rate, right * rate, above * rate, below * rate))


def _pads_along(layer: GridLayer, axis: int) -> Pair:
    """Return the padding before and after that keep the map's size where the layer's own did."""
    reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
    if layer.before is None:
        return reach // 2, reach // 2
    before, after = layer.before[axis], layer.after[axis]
    short = reach - before - after
    # A 2x2 window of stride 2 loses nothing of a map of even side, but a dense one loses a cell.
    rest = (layer.stride - 1) * (2 if layer.attributes.get("ceil_mode") else 1)
    return before, after + (short if 0 < short <= rest else 0)


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _times(pair: Pair, factor: int) -> Pair:
    return pair[0] * factor, pair[1] * factor
