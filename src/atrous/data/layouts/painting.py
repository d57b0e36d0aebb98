"""Outlines and run lengths, painted as labels.

A pixel belongs to an outline where its centre does. Coordinates are (x, y) in pixels, (0, 0) being
the corner of the picture and (0.5, 0.5) the centre of its first pixel.
"""

import math
from collections.abc import Sequence

import numpy as np

from atrous.errors import DataError


def paint_polygon(labels: np.ndarray, points: np.ndarray, label: int) -> None:
    """Paint the inside of a polygon, by the even-odd rule.

    Args:
        labels: (H, W) uint8, changed in place.
        points: (N, 2) corners, in order; they may lie outside of the picture.
        label: What the pixels become.

    Example:
        >>> labels = np.zeros((3, 4), dtype=np.uint8)
        >>> paint_polygon(labels, np.array([(1, 0), (3, 0), (3, 2), (1, 2)]), 7)
        >>> labels.tolist()
        [[0, 7, 7, 0], [0, 7, 7, 0], [0, 0, 0, 0]]
    """
    height, width = labels.shape
    x, y = np.asarray(points, dtype=np.float64).T
    top, bottom = (int(np.clip(np.ceil(end - 0.5), 0, height)) for end in (y.min(), y.max()))
    if top == bottom:
        return
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first = np.clip(np.ceil(np.minimum(y, next_y) - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(np.maximum(y, next_y) - 0.5), 0, height).astype(np.int64) - first
    # One entry for each row that each edge crosses.
    edge = np.repeat(np.arange(len(x)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    along = (row + 0.5 - y[edge]) / (next_y - y)[edge]
    crossing = x[edge] + along * (next_x - x)[edge]
    # The crossing turns inside to outside, or back, for all pixels to its right.
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    left, right = column.min(), column.max()
    turns = np.zeros((bottom - top, right - left + 1), dtype=np.uint8)  # only their parity counts
    np.add.at(turns, (row - top, column - left), 1)
    inside = np.cumsum(turns[:, :-1], axis=1, dtype=np.uint8) % 2 == 1
    labels[top:bottom, left:right][inside] = label


def polygon_area(points: np.ndarray) -> float:
    """Return the area of a polygon in pixels, by the formula of the shoelace.

    Example:
        >>> polygon_area(np.array([(0, 0), (4, 0), (4, 3)]))
        6.0
    """
    x, y = np.asarray(points, dtype=np.float64).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return the (4, 2) corners of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Return an ellipse as a polygon that departs from it by less than a tenth of a pixel.

    Raises:
        ValueError: A number is not finite, or a radius negative.
    """
    if min(radius_x, radius_y) < 0 or not math.isfinite(x + y + radius_x + radius_y):
        raise ValueError(f"an ellipse of radii {radius_x} and {radius_y} cannot be drawn")
    # Between n corners a circle of radius r departs by r (1 - cos(pi / n)), about 5 r / n^2.
    corners = 16 + math.ceil(8 * math.sqrt(min(max(radius_x, radius_y), 1e6)))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def corners(numbers: Sequence[object] | np.ndarray, where: str) -> np.ndarray:
    """Return (N, 2) points of a flat list x, y, x, y, ...

    Raises:
        DataError: It is not such a list of finite numbers, or has fewer than three points.
    """
    try:
        points = np.asarray(numbers, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.empty((0, 2))
    if len(points) < 3 or not np.isfinite(points).all() or np.abs(points).max() > 1e7:
        raise DataError(f"{where}: a polygon needs three points x, y or more; draw it anew")
    return points


def runs_to_mask(
    runs: Sequence[int] | np.ndarray, height: int, width: int, where: str
) -> np.ndarray:
    """Return (H, W) bool from the lengths of runs, row by row, the first run being outside.

    Raises:
        DataError: The lengths do not add up to the picture.
    """
    lengths = np.asarray(runs)
    if lengths.dtype.kind not in "iu" or lengths.min(initial=0) < 0:
        raise DataError(f"{where}: run lengths must be whole numbers from 0; export it anew")
    if lengths.max(initial=0) > height * width or lengths.sum() != height * width:
        raise DataError(
            f"{where}: run lengths add up to {lengths.sum()}, expected {width} x {height} pixels; "
            "export it anew"
        )
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)


def mask_to_runs(mask: np.ndarray) -> np.ndarray:
    """Return the lengths of the runs in an (H, W) bool mask, the first run being outside.

    Example:
        >>> mask_to_runs(np.array([[True, True], [False, True]])).tolist()
        [0, 2, 1, 1]
    """
    values = np.concatenate([[False], mask.ravel()])
    ends = np.flatnonzero(values[1:] != values[:-1])
    return np.diff(np.concatenate([[0], ends, [mask.size]]))


def decode_runs(text: str, where: str) -> list[int]:
    """Return the run lengths that COCO writes as text.

    Each character holds 5 bits and whether more follow, the lowest bits first and the highest one
    being the sign. From the third length on, each is told less the last but one.

    Raises:
        DataError: The text breaks off, or holds other characters.

    Example:
        >>> decode_runs("52203", "a.json")
        [5, 2, 2, 2, 5]
    """
    lengths: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 40:
            raise DataError(f"{where}: run lengths hold {character!r} here; export it anew")
        value |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << bits
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = bits = 0
    if bits:
        raise DataError(f"{where}: run lengths break off; export it anew")
    return lengths
