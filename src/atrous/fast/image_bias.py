"""Image pooling as a bias: a branch that is the same everywhere needs no map.

A 1x1 projection of maps side by side is a sum of projections, and that of a constant is a constant:

    W [maps, image] + b  =  W_maps maps + (W_image image + b)

Axes: B batch, C channels in, D channels out, H rows, W columns.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.nn import ASPP, WASP
from atrous.nn.conv import ConvNormAct


class Projection(nn.Module):
    """The 1x1 convolution, norm and ReLU that fuse the branches, given the image's by itself.

    Args:
        project: The projection of all branches.
        image_first: Whether the image's branch is the first of them; else it is the last.
        image_channels: Its channels.

    Example:
        >>> project = ConvNormAct(12, 4).eval()
        >>> map, image = torch.randn(1, 8, 5, 7), torch.randn(1, 4, 1, 1)
        >>> expected = project(torch.cat([map, image.expand(-1, -1, 5, 7)], dim=1))
        >>> fused = Projection(project, image_first=False, image_channels=4)
        >>> torch.allclose(fused([map], image), expected, atol=1e-5)
        True
    """

    def __init__(self, project: ConvNormAct, *, image_first: bool, image_channels: int) -> None:
        super().__init__()
        conv, *rest = project.children()
        assert isinstance(conv, nn.Conv2d)  # noqa: S101, as ConvNormAct is built
        weight = conv.weight.detach()
        maps_channels = conv.in_channels - image_channels
        sizes = [image_channels, maps_channels] if image_first else [maps_channels, image_channels]
        parts = weight.split(sizes, dim=1)
        of_image, of_maps = parts if image_first else parts[::-1]
        self.maps = _point(of_maps, None)
        self.image = _point(of_image, conv.bias)
        self.rest = nn.Sequential(*rest)

    def forward(self, maps: Sequence[Tensor], image: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of maps (B, C, H, W) and image (B, C, 1, 1)."""
        return self.rest(self.maps(torch.cat(list(maps), dim=1)).add_(self.image(image)))


class FastASPP(nn.Module):
    """`atrous.nn.ASPP` for inference, with its image pooling as a bias of the projection.

    Example:
        >>> aspp = ASPP(8, 4, rates=(1, 2)).eval()
        >>> x = torch.randn(2, 8, 5, 7)
        >>> with torch.inference_mode():
        ...     torch.allclose(FastASPP(aspp)(x), aspp(x), atol=1e-5)
        True
    """

    def __init__(self, aspp: ASPP) -> None:
        super().__init__()
        assert aspp.image is not None  # noqa: S101, `with_image_bias` asks
        self.point, self.atrous, self.mean = aspp.point, aspp.atrous, aspp.mean
        self.image, self.classifier = aspp.image, aspp.classifier
        self.project = _projection(aspp.project, aspp.image, image_first=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        maps = [self.point(x), *self.atrous(x)]
        return self.classifier(self.project(maps, self.image(self.mean(x))))


class FastWASP(nn.Module):
    """`atrous.nn.WASP` for inference, with its image pooling as a bias of the projection.

    Example:
        >>> wasp = WASP(8, 4, rates=(1, 2)).eval()
        >>> x = torch.randn(2, 8, 5, 7)
        >>> with torch.inference_mode():
        ...     torch.allclose(FastWASP(wasp)(x), wasp(x), atol=1e-5)
        True
    """

    def __init__(self, wasp: WASP) -> None:
        super().__init__()
        self.steps, self.points, self.mean, self.image = (
            wasp.steps,
            wasp.points,
            wasp.mean,
            wasp.image,
        )
        self.project = _projection(wasp.project, wasp.image, image_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        image, maps = self.image(self.mean(x)), []
        for step, point in zip(self.steps, self.points, strict=True):
            x = step(x)
            maps.append(point(x))
        return self.project(maps, image)


def with_image_bias(pyramid: nn.Module) -> nn.Module:
    """Return a pyramid in eval mode that needs no map for its image pooling, where it has one.

    A projection of more than 1x1 reads padding at the borders, where the image's branch is not
    constant: such a pyramid, and every other kind, is returned as it is.
    """
    if isinstance(pyramid, ASPP) and pyramid.image is not None and _is_point(pyramid.project):
        return FastASPP(pyramid)
    if isinstance(pyramid, WASP):
        return FastWASP(pyramid)
    return pyramid


def _is_point(project: ConvNormAct) -> bool:
    return project.spatial.kernel_size == (1, 1)


def _projection(project: ConvNormAct, image: ConvNormAct, *, image_first: bool) -> Projection:
    channels = image.spatial.out_channels
    return Projection(project, image_first=image_first, image_channels=channels)


def _point(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return a 1x1 convolution with given weights (D, C, 1, 1)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = nn.Parameter(weight.clone(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return conv
