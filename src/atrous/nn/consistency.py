"""Atrous consistency, measured: whether the maps of two output strides are the same ones.

Chen et al. 2017, arXiv:1706.05587, section 3.1: atrous convolution extracts denser maps with the
same weights. Each cell of the coarse map must then be found in the dense one.
"""

import torch
from torch import nn

from atrous.nn.dilation import set_output_stride


def consistency_error(
    backbone: nn.Module, stride: int, *, reference: int = 32, size: tuple[int, int] = (96, 128)
) -> float:
    """Return by how much the deepest map at `stride` differs from the one at `reference`.

    The backbone reads one random image at both, and is left at `stride`, in eval mode.

    Args:
        backbone: Turns images (B, C, H, W) into a map or a list of maps, the deepest one last.
        stride: Output stride of the denser map: 4, 8 or 16.
        reference: Output stride of the coarser one.
        size: Rows and columns of the image. Where kernels are even or poolings round down, only
            multiples of 32 leave no rest at any stride.

    Returns:
        The largest difference where both have a cell, as a fraction of the coarse map's largest
        value: about 1e-6 in float32 when consistent.

    Raises:
        ValueError: The backbone cannot be held at one of the strides, or its coarse map is zero.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 2, stride=8))
        >>> consistency_error(network, 4) < 1e-5
        True
    """
    first = next(module for module in backbone.modules() if isinstance(module, nn.Conv2d))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, first.in_channels, *size, generator=generator)
    backbone.eval()
    maps = []
    for held in (reference, stride):
        set_output_stride(backbone, held)
        with torch.no_grad():
            result = backbone(image)
        maps.append(result if isinstance(result, torch.Tensor) else result[-1])
    coarse, dense = maps
    step = reference // stride
    largest = coarse.abs().max()
    if not largest > 0:
        raise ValueError("the coarse map is zero everywhere, and tells nothing")
    return float((dense[..., ::step, ::step] - coarse).abs().max() / largest)
