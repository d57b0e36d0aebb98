"""Which numbers the network computes in while it trains."""

from functools import partial

import torch
from torch import Tensor, nn

from atrous.devices import has_fast_bf16


def fabric_precision(precision: str, device: torch.device) -> str:
    """Return Lightning's word for `auto`, `fp32` or `bf16`: weights stay float32 in each."""
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]


def spare_slow_convolutions(model: nn.Module, device: torch.device) -> None:
    """Keep on float32, under autocast, the convolutions whose gradients are slow in bfloat16.

    On CPUs these are the depthwise ones with a stride, a rate or more than 3x3 taps: their backward
    pass takes three to five times as long in bfloat16 as in float32.
    """
    if device.type != "cpu":
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and _is_unusual(module):
            module.forward = partial(_float32_forward, module)


def _is_unusual(conv: nn.Conv2d) -> bool:
    return max(conv.stride) > 1 or max(conv.dilation) > 1 or max(conv.kernel_size) > 3


def _float32_forward(conv: nn.Conv2d, input: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):  # input may be on the meta device
        return type(conv).forward(conv, input.float())
