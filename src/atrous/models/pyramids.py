"""The pyramids by name, with the numbers of their papers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from atrous.models.blueprint import Blueprint
from atrous.nn import ASPP, DPC, WASP, ASPPv2, Cascade, DenseASPP, LargeFOV, Pyramid
from atrous.nn.geometry import rates_for


class PyramidKind(NamedTuple):
    """How a pyramid is built, and what its paper gives as rates.

    Attributes:
        build: Makes it for the channels of the deepest map and a blueprint.
        rates: The paper's, in cells.
        at_stride: Output stride that they are meant for.
    """

    build: Callable[[int, Blueprint], Pyramid]
    rates: tuple[Any, ...]
    at_stride: int


def _large_fov(in_channels: int, blueprint: Blueprint) -> Pyramid:
    if len(blueprint.rates) != 1:
        raise ValueError(f"LargeFOV has one kernel, got rates {blueprint.rates}; give one rate")
    return LargeFOV(
        in_channels,
        blueprint.num_classes,
        *blueprint.rates,  # pyright: ignore[reportArgumentType], one number
        kernel_size=blueprint.kernel_size,
        channels=blueprint.channels or (1024 if blueprint.kernel_size == 3 else 4096),
        dropout=blueprint.dropout,
    )


def _aspp_v2(in_channels: int, blueprint: Blueprint) -> Pyramid:
    # Behind VGG-16 each branch has hidden layers, behind ResNet-101 it is a single one.
    hidden = 1024 if blueprint.backbone.startswith("vgg") else None
    return ASPPv2(
        in_channels,
        blueprint.num_classes,
        blueprint.rates,  # pyright: ignore[reportArgumentType], numbers
        channels=blueprint.channels or hidden,
        dropout=blueprint.dropout,
    )


def _aspp(in_channels: int, blueprint: Blueprint) -> Pyramid:
    return ASPP(
        in_channels,
        blueprint.channels or 256,
        rates=blueprint.rates,  # pyright: ignore[reportArgumentType], numbers
        separable=blueprint.separable,
        between=blueprint.conventions.between,
        projection_kernel=blueprint.conventions.projection_kernel,
        shared_kernel=blueprint.shared_kernel,
        image_pooling=blueprint.image_pooling,
        dropout=blueprint.dropout,
    )


def _cascade(in_channels: int, blueprint: Blueprint) -> Pyramid:
    return Cascade(
        in_channels,
        rates=blueprint.rates,  # pyright: ignore[reportArgumentType], numbers
        multi_grid=[max(1, round(unit)) for unit in blueprint.multi_grid or (1, 1, 1)],
        dropout=blueprint.dropout,
    )


def _like_aspp(kind: Callable[..., Pyramid]) -> Callable[[int, Blueprint], Pyramid]:
    def build(in_channels: int, blueprint: Blueprint) -> Pyramid:
        return kind(
            in_channels,
            blueprint.channels or 256,
            rates=blueprint.rates,
            separable=blueprint.separable,
            dropout=blueprint.dropout,
        )

    return build


PYRAMIDS = {
    "large_fov": PyramidKind(_large_fov, (12,), 8),  # arXiv:1412.7062, table 2
    "aspp_v2": PyramidKind(_aspp_v2, (6, 12, 18, 24), 8),  # arXiv:1606.00915, section 4.1.1
    "aspp": PyramidKind(_aspp, (6, 12, 18), 16),  # arXiv:1706.05587, section 3.3
    "cascade": PyramidKind(_cascade, (4, 8, 16), 16),  # arXiv:1706.05587, figure 3
    "dense_aspp": PyramidKind(_like_aspp(DenseASPP), (3, 6, 12, 18, 24), 8),  # CVPR 2018
    "wasp": PyramidKind(_like_aspp(WASP), (6, 12, 18, 24), 16),  # arXiv:1912.03183
    "dpc": PyramidKind(  # arXiv:1809.04184, figure 5
        _like_aspp(DPC), ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21)), 16
    ),
}


def paper_rates(pyramid: str, output_stride: int, kernel_size: int = 3) -> tuple[Any, ...]:
    """Return the rates of a pyramid's paper, brought to an output stride; none where it has none.

    Raises:
        ValueError: The stride is none of 4, 8, 16 and 32.
    """
    if pyramid not in PYRAMIDS:
        return ()
    _, rates, at_stride = PYRAMIDS[pyramid]
    if pyramid == "large_fov" and kernel_size != 3:
        rates = (4,)  # arXiv:1412.7062, table 2: VGG's own first fully connected layer, with holes
    return rates_for(output_stride, rates, at_stride=at_stride)
