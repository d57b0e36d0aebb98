"""Depthwise atrous convolutions on the sub-maps of their rate, where oneDNN has no fast way."""

import torch
from torch import Tensor, nn

from atrous.fast.taps import keeps_size
from atrous.kernels.depthwise_conv import WIDE, depthwise_conv2d


class OnSubMaps(nn.Module):
    """A depthwise convolution whose large rate brings much padding, by one without holes.

    Such are the branches of a separable pyramid (arXiv:1802.02611, section 3.1). Where a program is
    traced, exported or compiled, it is the convolution as it was.

    Args:
        conv: What `gains_on_sub_maps` is true for.

    Example:
        >>> conv = nn.Conv2d(8, 8, 3, padding=12, dilation=12, groups=8)
        >>> x = torch.randn(1, 8, 30, 40)
        >>> torch.allclose(OnSubMaps(conv)(x), conv(x), atol=1e-5)
        True
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, C, H, W) of x (B, C, H, W)."""
        conv, compiler = self.conv, torch.compiler
        if torch._C._get_tracing_state() or compiler.is_compiling() or compiler.is_exporting():
            return conv(x)
        (top, left), (rows, columns) = conv.padding, conv.dilation
        return depthwise_conv2d(
            x, conv.weight, conv.bias, padding=(int(top), int(left)), dilation=(rows, columns)
        )


def gains_on_sub_maps(module: nn.Module) -> bool:
    """Return whether `OnSubMaps` computes a module sooner on a CPU.

    Example:
        >>> gains_on_sub_maps(nn.Conv2d(8, 8, 3, padding=6, dilation=6, groups=8))
        False
    """
    return (
        isinstance(module, nn.Conv2d)
        and keeps_size(module)
        and module.groups == module.in_channels == module.out_channels
        and max(module.dilation) > 1
        and max(int(pad) for pad in module.padding) >= WIDE
    )
