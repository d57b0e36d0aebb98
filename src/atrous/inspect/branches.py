"""The branches of a pyramid, by the names that they have in tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import nn

from atrous.nn import ASPP, DPC, WASP, ASPPv2, Cascade, DenseASPP, LargeFOV, Pyramid
from atrous.nn.aspp import SharedAtrous
from atrous.nn.geometry import per_axis

IMAGE = "image"
_READS_OF_DPC = (0, 1, 2, 1, 1)  # arXiv:1809.04184, figure 5: 0 is the map, k the k-th branch

_PARTS = {
    ASPP: "atrous",
    ASPPv2: "branches",
    Cascade: "blocks",
    DenseASPP: "layers",
    DPC: "branches",
    WASP: "steps",
}


class Branch(NamedTuple):
    """One way through a pyramid.

    Attributes:
        name: `1x1`, `rate 6`, `rate 6x21` or `image`.
        module: What computes it: its output is the branch's.
        rate: Cells between its taps, along (rows, columns); None without a wide kernel.
        reads: Which branch it reads, counted from 1; 0 is the map that the pyramid is given.
    """

    name: str
    module: nn.Module
    rate: tuple[int, int] | None
    reads: int = 0


def branches(pyramid: Pyramid) -> tuple[Branch, ...]:
    """Return the branches of a pyramid, from the narrowest to the mean over the map.

    Example:
        >>> [branch.name for branch in branches(ASPP(8, 4, rates=(6, 12)))]
        ['1x1', 'rate 6', 'rate 12', 'image']
    """
    point = [Branch("1x1", pyramid.point, None)] if isinstance(pyramid, ASPP) else []
    mean = pyramid.image if isinstance(pyramid, ASPP | WASP) else None
    image = [] if mean is None else [Branch(IMAGE, mean, None)]
    names = [f"rate {name_of_rate(per_axis(rate))}" for rate in pyramid.rates]
    wide = (
        Branch(name, module, per_axis(rate), source)
        for name, module, rate, source in zip(
            names, _modules(pyramid), pyramid.rates, _reads(pyramid), strict=True
        )
    )
    return (*point, *wide, *image)


def fused_pieces(pyramid: Pyramid) -> Mapping[str, int]:
    """Return the channels of what the projection of a pyramid reads, by the branch they are of.

    Returns:
        Name of a branch: its channels, in the order in which the projection reads them; nothing
        for a pyramid without a projection. What DenseASPP hands through is `map`.

    Example:
        >>> fused_pieces(ASPP(8, 4, rates=(6, 12)))
        {'1x1': 4, 'rate 6': 4, 'rate 12': 4, 'image': 4}
    """
    names = [branch.name for branch in branches(pyramid)]
    if isinstance(pyramid, WASP):
        names = [IMAGE, *names[:-1]]
    if isinstance(pyramid, ASPP | WASP | DPC):
        return dict.fromkeys(names, pyramid.project.spatial.in_channels // len(names))
    if isinstance(pyramid, DenseASPP):
        grown = [layer.get_submodule("1").get_submodule("1") for layer in pyramid.layers]
        widths = [norm.num_features for norm in grown if isinstance(norm, nn.BatchNorm2d)]
        given = pyramid.project.spatial.in_channels - sum(widths)
        return {"map": given, **dict(zip(names, widths, strict=True))}
    return {}


def _modules(pyramid: Pyramid) -> list[nn.Module]:
    """Return what reads at each rate of a pyramid."""
    if isinstance(pyramid, LargeFOV):
        return [pyramid.layers.fc6]
    part = pyramid.get_submodule(_PARTS[type(pyramid)])
    return list((part.norms if isinstance(part, SharedAtrous) else part).children())


def _reads(pyramid: Pyramid) -> Sequence[int]:
    if isinstance(pyramid, DPC):
        return _READS_OF_DPC
    one_by_one = isinstance(pyramid, WASP | DenseASPP | Cascade)
    return range(len(pyramid.rates)) if one_by_one else [0] * len(pyramid.rates)


def name_of_rate(rate: tuple[int, int]) -> str:
    """Return `6` where both axes agree, else such as `6x21`.

    Example:
        >>> name_of_rate((6, 6)), name_of_rate((6, 21))
        ('6', '6x21')
    """
    rows, columns = rate
    return f"{rows}" if rows == columns else f"{rows}x{columns}"
