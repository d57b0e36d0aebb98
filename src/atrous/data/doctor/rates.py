"""Findings about crop and rates: taps that fall on padding for every cell of the map."""

import math
from collections.abc import Sequence

from atrous.data.doctor.findings import Finding
from atrous.data.doctor.survey import Size

Rate = int | tuple[int, int]


def rate_findings(
    crop_size: Size, *, output_stride: int, rates: Sequence[Rate], kernel_size: int = 3
) -> list[Finding]:
    """Return which rates are too wide for the map of a training crop.

    Args:
        crop_size: (height, width) in pixels.
        output_stride: Pixels per cell of the map that the pyramid reads.
        rates: Of the pyramid, in cells.
        kernel_size: Of its kernels along each axis.

    Example:
        >>> rate_findings((97, 97), output_stride=16, rates=(6, 12))[0].severity
        'warning'
        >>> rate_findings((513, 513), output_stride=16, rates=(6, 12, 18))
        []
    """
    from atrous.nn.geometry import per_axis, useful_taps  # loads torch

    height, width = (math.ceil(side / output_stride) for side in crop_size)
    dead = [rate for rate in rates if per_axis(rate)[0] >= height or per_axis(rate)[1] >= width]
    if not dead or kernel_size % 2 == 0:
        return []
    taps = [f"{useful_taps(rate, height, width, kernel_size):.1f}" for rate in dead]
    what = (
        f"a crop of {crop_size[1]} x {crop_size[0]} is a map of {width} x {height} cells, where of "
        f"the {kernel_size**2} taps at rate {', '.join(map(str, dead))} only {', '.join(taps)} "
        "fall inside"
    )
    return [Finding("dead-taps", "warning", what, _cure(rates, height, width, output_stride))]


def _cure(rates: Sequence[Rate], height: int, width: int, output_stride: int) -> str:
    """Return a crop of twice the widest rate, and the rates that suit the crop there is."""
    from atrous.nn.geometry import per_axis

    pairs = [per_axis(rate) for rate in rates]
    rows, columns = (max(pair[axis] for pair in pairs) for axis in (0, 1))
    crop = f"[{2 * rows * output_stride + 1},{2 * columns * output_stride + 1}]"
    larger = f"train with --set data.crop_size={crop}"
    factor = min(height / 2 / rows, width / 2 / columns)
    suited = [(int(down * factor), int(right * factor)) for down, right in pairs]
    if min(map(min, suited)) < 1 or not all(isinstance(rate, int) for rate in rates):
        return larger
    return f"{larger} or --set model.rates=[{','.join(str(down) for down, _ in suited)}]"
