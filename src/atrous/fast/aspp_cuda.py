"""ASPP on CUDA in six launches, none of which computes padding or copies maps side by side.

The branches are one launch, the projection with its norm, its ReLU and the image's share is
another; the image's own branch is a mean and two small products.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.fast.image_bias import FastASPP
from atrous.fast.taps import keeps_size
from atrous.kernels.atrous_conv import atrous_branches, has_kernel, pack_weights
from atrous.kernels.tap_tiles import Kernel

_ALIGNED = 16  # channels; rows of others do not begin where the processor reads fastest


def fuse_aspp(network: nn.Module) -> bool:
    """Put `LiveTapsASPP` in the place of each `FastASPP` that it can compute sooner.

    That is, in half precision on CUDA, with batch norm folded and dense branches. Others stay as
    they are.

    Args:
        network: A network for inference, rewritten in place.

    Returns:
        Whether one was replaced.

    Example:
        >>> fuse_aspp(nn.Sequential(nn.Conv2d(3, 8, 3)))
        False
    """
    found = [
        name
        for name, module in network.named_modules()
        if isinstance(module, FastASPP) and _on_kernel(module) and can_fuse(module)
    ]
    for name in found:
        network.set_submodule(name, LiveTapsASPP(network.get_submodule(name)))  # pyright: ignore[reportArgumentType]
    return bool(found)


def can_fuse(aspp: FastASPP) -> bool:
    """Return whether an ASPP is dense, folded, and has channels in whole blocks."""
    blocks = _blocks(aspp)
    return all(map(_is_folded, blocks)) and all(map(_is_dense, map(_conv, blocks)))


class LiveTapsASPP(nn.Module):
    """`FastASPP` with batch norm folded: its branches at once, and its projection at once.

    Args:
        aspp: A pyramid that `can_fuse` accepts.

    Example:
        >>> from atrous.fast.image_bias import with_image_bias
        >>> from atrous.nn import ASPP
        >>> pyramid = ASPP(32, 16, rates=(1, 2)).eval()
        >>> blocks = [pyramid.point, *pyramid.atrous, pyramid.image, pyramid.project]
        >>> for block in blocks:
        ...     block[1] = nn.Identity()  # as if folded
        >>> x = torch.randn(2, 32, 5, 7)
        >>> with torch.inference_mode():
        ...     torch.allclose(LiveTapsASPP(with_image_bias(pyramid))(x), pyramid(x), atol=1e-5)
        True
    """

    def __init__(self, aspp: FastASPP) -> None:
        super().__init__()
        *branches, image, project = map(_conv, _blocks(aspp))
        self.branches, self.project = AtrousBranches(branches), AtrousBranches([project])
        self.mean, self.classifier = aspp.mean, aspp.classifier
        self.image, self.image_share = _linear(image), _linear(aspp.project.image)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        image = F.relu(self.image(self.mean(x).flatten(1)))
        return self.classifier(self.project(self.branches(x), bias=self.image_share(image)))


class AtrousBranches(nn.Module):
    """Convolutions of one map side by side, each with its bias and ReLU, as one operation.

    Args:
        convs: Dense convolutions that keep the size of the map and have as many channels.

    Example:
        >>> convs = [nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=2, dilation=2)]
        >>> x = torch.randn(1, 8, 5, 7)
        >>> expected = torch.cat([conv(x).relu() for conv in convs], dim=1)
        >>> torch.allclose(AtrousBranches(convs)(x), expected, atol=1e-5)
        True
    """

    def __init__(self, convs: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.kernels = [Kernel(*conv.kernel_size, *conv.dilation) for conv in convs]
        self.weight = _frozen(pack_weights([conv.weight for conv in convs]))
        self.bias = _frozen(torch.cat([_bias(conv) for conv in convs]).unsqueeze(0))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return maps (B, N * D, H, W) of x (B, C, H, W).

        Args:
            x: The map.
            bias: (B, N * D), each image's own; that of the convolutions when left out.
        """
        bias = self.bias if bias is None else bias
        return atrous_branches(x, self.weight, bias, kernels=self.kernels)


def _blocks(aspp: FastASPP) -> list[nn.Module]:
    """Return what is convolution, norm and ReLU: the branches, the image's, the projection."""
    project = nn.Sequential(aspp.project.maps, *aspp.project.rest)
    branches = list(aspp.atrous.children())
    return [aspp.point, *branches, aspp.image, project]


def _on_kernel(aspp: FastASPP) -> bool:
    weight = aspp.project.maps.weight
    return has_kernel(weight.device, weight.dtype)


def _is_folded(block: nn.Module) -> bool:
    return [type(layer) for layer in block.children()] == [nn.Conv2d, nn.Identity, nn.ReLU]


def _is_dense(conv: nn.Conv2d) -> bool:
    aligned = conv.in_channels % _ALIGNED == 0 and conv.out_channels % _ALIGNED == 0
    return aligned and keeps_size(conv) and conv.groups == 1 and conv.padding_mode == "zeros"


def _conv(block: nn.Module) -> nn.Conv2d:
    return next(block.children())  # pyright: ignore[reportReturnType], as _is_folded asks


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


def _linear(conv: nn.Conv2d) -> nn.Linear:
    """Return what a 1x1 convolution is to a map of one cell."""
    linear = nn.Linear(conv.in_channels, conv.out_channels)
    linear.weight, linear.bias = _frozen(conv.weight.flatten(1)), _frozen(_bias(conv))
    return linear


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().contiguous().clone(), requires_grad=False)
