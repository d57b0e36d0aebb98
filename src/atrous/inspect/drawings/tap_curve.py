"""How many weights of a kernel are left as its rate grows, for any map.

Paper: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, figure 4, which shows
the shares of 9, 4 and 1 valid weights on a map of 65x65 cells.
"""

from collections.abc import Mapping

from atrous.nn.geometry import tap_histogram
from atrous.page.charts import line_chart
from atrous.page.markup import Markup


def tap_shares(
    height: int, width: int, *, kernel_size: int = 3, most_rate: int | None = None
) -> Mapping[int, list[float]]:
    """Return which share of a map's cells has how many weights inside, for rates from 1 up.

    Args:
        height: Rows of the map.
        width: Columns of the map.
        kernel_size: Taps along each axis, an odd number.
        most_rate: The last rate; by default the longer side, where one weight is left.

    Returns:
        Number of weights: its share at each rate. The most weights come first.

    Example:
        >>> shares = tap_shares(65, 65)
        >>> [round(shares[weights][12 - 1], 4) for weights in (9, 6, 4)]
        [0.3979, 0.4658, 0.1363]
    """
    rates = range(1, (most_rate or max(height, width)) + 1)
    histograms = [tap_histogram(rate, height, width, kernel_size) for rate in rates]
    counts = sorted({weights for histogram in histograms for weights in histogram}, reverse=True)
    return {weights: [one.get(weights, 0.0) for one in histograms] for weights in counts}


def tap_curve(
    height: int, width: int, *, kernel_size: int = 3, most_rate: int | None = None
) -> Markup:
    """Draw these shares over the rate, in percent of the cells.

    Example:
        >>> tap_curve(33, 33).count("<polyline")
        5
    """
    shares = tap_shares(height, width, kernel_size=kernel_size, most_rate=most_rate)
    rates = range(1, len(next(iter(shares.values()))) + 1)
    return line_chart(
        f"Useful weights on a map of {height}x{width} cells",
        rates,
        {f"{weights}": [100 * share for share in line] for weights, line in shares.items()},
        axis=f"percent of the cells with so many of {kernel_size**2} weights inside",
        along="rate",
    )
