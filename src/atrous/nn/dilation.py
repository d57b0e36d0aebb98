"""Output stride of any convolutional network: every stride that is given up becomes a rate.

A layer behind strides of 32 in all, in a network held at output stride 8, reads a map four times as
dense; with four times its rate its taps fall on the same places of the image as before. The maps
are then the same ones, only denser ("atrous consistency").

Papers: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.1 (output
stride) and 3.2.1 (multi-grid).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from atrous.nn.grid_layer import GridLayer, as_built, at_rate, densify, restore
from atrous.nn.grid_trace import GridTrace, Visit, trace_grid

OUTPUT_STRIDES = (4, 8, 16, 32)


@dataclass
class _Record:
    """A backbone as it was built, what a multi-grid makes of it, and what it is held at."""

    built: dict[str, GridLayer]
    layers: dict[str, GridLayer]
    trace: GridTrace
    stride: int
    ways: dict[str, Any]


def set_output_stride(
    backbone: nn.Module,
    stride: int,
    *,
    dilate_first_block: bool = False,
    even_padding: bool = False,
    dense_means: bool = True,
    undilated: Sequence[str] = (),
) -> tuple[str, ...]:
    """Hold the maps of `backbone` at `stride` where they would become coarser.

    Each convolution or pooling that would stride further becomes dense, and all that follows is
    dilated by the stride lost: a layer's rate is multiplied by max(1, its input stride / `stride`).
    The weights stay, and the call can be repeated with any stride at any time.

    Args:
        backbone: A convolutional network that takes images (B, C, H, W), built with its own
            strides.
        stride: Image pixels per cell of the deepest map: 4, 8, 16 or 32.
        dilate_first_block: Give the layer that loses its stride the rate of those behind it. The
            papers keep the rate before it, which alone is consistent; some libraries do not.
        even_padding: Let a layer that pads as TensorFlow does pad both sides alike once its stride
            is lost. Where it padded with its stride alone is consistent; libraries differ.
        dense_means: Let an average pooling that loses its stride still average, over cells further
            apart, which alone is consistent; some libraries leave it out.
        undilated: Names of modules that keep their own rates, which is not consistent.

    Returns:
        Names of the layers that mix a whole map (the mean in squeeze-and-excitation, attention,
        group norm) and now read a denser one: their results, and all behind them, are close to
        those at another stride, not the same. Empty for plain convolutional networks.

    Raises:
        ValueError: The stride is not one of the four; or the network cannot be held there, because
            it pools or resizes in a function of its own. The backbone is then as it was.
        RuntimeError: The network does not take a square image of 1024 pixels.

    Example:
        >>> network = nn.Sequential(
        ...     nn.Conv2d(3, 8, 8, stride=8), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1)
        ... )
        >>> set_output_stride(network, 8)
        ()
        >>> network[1].stride, network[2].dilation, network[2].padding
        ((1, 1), (2, 2), (2, 2))
    """
    if stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be 4, 8, 16 or 32, got {stride}")
    record = _record_of(backbone)
    _refuse_functions(record.trace.functions, stride)
    ways = {
        "dilate_first_block": dilate_first_block,
        "even_padding": even_padding,
        "dense_means": dense_means,
        "undilated": tuple(f"{name}." for name in undilated),
    }
    _apply(backbone, record.layers, stride, **ways)
    if complaint := _complaint(backbone, record.layers, stride):
        _apply(backbone, record.layers, record.stride, **record.ways)
        raise ValueError(f"cannot be held at output_stride {stride}: {complaint}; use a larger one")
    record.stride, record.ways = stride, ways
    affected = (visit.name for visit in record.trace.whole_map if visit.input_stride > stride)
    return tuple(dict.fromkeys(affected))


def set_multi_grid(backbone: nn.Module, blocks: Sequence[str], units: Sequence[float]) -> None:
    """Multiply the rates of the blocks of one stage by `units` (arXiv:1706.05587, section 3.2.1).

    The final rate is the unit rate times the rate of the stage, in its first block too: at output
    stride 16, units (1, 2, 4) make 2, 4 and 8 in the last stage of a ResNet. `set_output_stride` is
    to follow, and keeps the units from then on.

    Args:
        backbone: A network of which `set_output_stride` can follow the strides.
        blocks: Names of the residual blocks, in order.
        units: One unit rate for each block. The first, whose layer reads before the stage's
            stride, may be a half.

    Raises:
        ValueError: There is not one unit rate for each block, or a final rate is no whole number.

    Example:
        >>> import timm
        >>> network = timm.create_model("resnet18")
        >>> set_multi_grid(network, ["layer4.0", "layer4.1"], (1, 2))
        >>> inexact = set_output_stride(network, 16)
        >>> [network.layer4[k].conv2.dilation for k in (0, 1)]
        [(2, 2), (4, 4)]
    """
    if len(units) != len(blocks):
        raise ValueError(
            f"multi_grid needs one unit rate for each of the {len(blocks)} blocks of the last "
            f"stage, got {tuple(units)}"
        )
    record = _record_of(backbone)
    layers = record.built
    unit_of = {
        name: unit
        for block, unit in zip(blocks, units, strict=True)
        for name, layer in layers.items()
        if name.startswith(f"{block}.")
        and issubclass(layer.kind, nn.Conv2d)
        and layer.kernel_size != (1, 1)
    }
    stage_stride = max((layers[name].output_stride for name in unit_of), default=1)
    rates = {
        name: unit * stage_stride / layers[name].input_stride for name, unit in unit_of.items()
    }
    for name, rate in rates.items():
        if rate < 1 or rate != int(rate):
            raise ValueError(f"multi_grid {tuple(units)} makes a rate of {rate} in {name}")
    record.layers = layers | {
        name: at_rate(layers[name], int(rate)) for name, rate in rates.items()
    }


def _record_of(backbone: nn.Module) -> _Record:
    """Return what is known of `backbone` as it was built; found out at the first call."""
    record = backbone.__dict__.get("_grid_record")
    if record is None:
        trace = trace_grid(backbone)
        layers = {
            name: as_built(name, backbone.get_submodule(name), input_stride)
            for name, input_stride in trace.layers.items()
        }
        own_stride = max(layer.output_stride for layer in layers.values())
        record = _Record(layers, dict(layers), trace, own_stride, {})
        backbone.__dict__["_grid_record"] = record
    return record


def _refuse_functions(functions: Sequence[Visit], stride: int) -> None:
    for visit in functions:
        if visit.input_stride > stride:
            raise ValueError(
                f"cannot be held at output_stride {stride}: {visit.name or 'it'} calls "
                f"{visit.what} at stride {visit.input_stride} by itself, which cannot be dilated; "
                "use a larger one"
            )


def _apply(
    backbone: nn.Module,
    layers: dict[str, GridLayer],
    stride: int,
    *,
    dilate_first_block: bool = False,
    even_padding: bool = False,
    dense_means: bool = True,
    undilated: tuple[str, ...] = (),
) -> None:
    for name, layer in layers.items():
        module = backbone.get_submodule(name)
        restore(module, layer)
        lost = max(1, layer.input_stride // stride)
        lost_behind = max(1, layer.output_stride // stride)
        if lost_behind > 1:
            left = layer.stride * lost // lost_behind
            rate = lost_behind if dilate_first_block and not layer.has_unit else lost
            rate = 1 if name.startswith(undilated) else rate
            densify(
                module,
                layer,
                lost=lost,
                stride=left,
                rate=rate,
                even_padding=even_padding,
                dense_means=dense_means,
            )


def _complaint(backbone: nn.Module, layers: dict[str, GridLayer], stride: int) -> str:
    """Return why `backbone` as it is now does not compute dense maps; empty when it does."""
    try:
        trace = trace_grid(backbone)
    except (RuntimeError, ValueError) as error:
        return f"its maps no longer fit together ({error})"
    for name, input_stride in trace.layers.items():
        if input_stride != min(layers[name].input_stride, stride):
            return f"layer {name} reads at stride {input_stride}"
    return ""
