"""Which numbers the network computes in while it trains."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from atrous.devices import has_fast_bf16
from atrous.errors import MissingExtraError
from atrous.kernels.depthwise_conv import depthwise_conv2d


def fabric_precision(precision: str, device: torch.device) -> str:
    """Return Lightning's word for `auto`, `fp32` or `bf16`: weights stay float32 in each."""
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]


def set_up_fabric(
    model: nn.Module, optimizer: Optimizer, *, precision: str, device: torch.device
) -> tuple[Any, Any, Any]:
    """Return Lightning's Fabric, and what it makes of a network and its optimiser.

    Args:
        model: The network, on its device.
        optimizer: Of its parameters.
        precision: As in a recipe: `auto`, `fp32` or `bf16`.
        device: Where the network is.

    Raises:
        MissingExtraError: Lightning is not installed.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise MissingExtraError("lightning", "train") from error
    fabric = Fabric(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision=fabric_precision(precision, device),  # pyright: ignore[reportArgumentType]
    )
    network, fabric_optimizer = fabric.setup(model, optimizer)
    network.mark_forward_method("coarse_logits_and_auxiliary")
    return fabric, network, fabric_optimizer


def speed_up_depthwise(model: nn.Module, device: torch.device) -> None:
    """Give the depthwise convolutions of a network gradients that are fast on a CPU.

    Those with a stride, a rate or more than 3x3 taps, of which torch's own take three to twenty
    times as long as the convolution, most of all in bfloat16: see `atrous.kernels.depthwise_conv`.
    Where a layer is no plain convolution, it is only kept on float32 under autocast.
    """
    if device.type != "cpu":
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and _is_unusual(module):
            forward = _depthwise_forward if _is_plain(module) else _float32_forward
            module.forward = partial(forward, module)


def _is_unusual(conv: nn.Conv2d) -> bool:
    return max(conv.stride) > 1 or max(conv.dilation) > 1 or max(conv.kernel_size) > 3


def _is_plain(conv: nn.Conv2d) -> bool:
    return (
        type(conv).forward is nn.Conv2d.forward
        and conv.groups == conv.in_channels == conv.out_channels
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )


def _depthwise_forward(conv: nn.Conv2d, input: Tensor) -> Tensor:
    (top, left), (down, right), (rows, columns) = conv.padding, conv.stride, conv.dilation
    return depthwise_conv2d(
        input,
        conv.weight,
        conv.bias,
        stride=(down, right),
        padding=(int(top), int(left)),
        dilation=(rows, columns),
    )


def _float32_forward(conv: nn.Conv2d, input: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):  # input may be on the meta device
        return type(conv).forward(conv, input.float())
