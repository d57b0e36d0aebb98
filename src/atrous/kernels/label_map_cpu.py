"""Label maps on the CPU: squares between four logit centres at a time, compiled by numba.

Bilinear interpolation is a convex combination of the four centres around a pixel. So a class that
is highest at all four is highest in the whole square between them, and a class that is lower than
another one at all four is nowhere the highest. Most squares are filled at once; in the others the
few classes that are left compete.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from atrous.kernels.compiled import compiled, run_in_threads


def paint_label_map(logits: Tensor, labels: Tensor, *, align_corners: bool = False) -> None:
    """Write into each pixel of `labels` the class whose interpolated logit is the highest.

    Args:
        logits: (B, K, h, w) float32 on the CPU, for K >= 1 classes, in any layout.
        labels: (B, H, W) integers, C-contiguous, H and W at least 1.
        align_corners: As in `torch.nn.functional.interpolate`.

    Example:
        >>> labels = torch.empty(1, 1, 4, dtype=torch.uint8)
        >>> paint_label_map(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), labels)
        >>> labels
        tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    """
    rows = _taps(logits.shape[2], labels.shape[1], align_corners)
    columns = _taps(logits.shape[3], labels.shape[2], align_corners)
    # Below some 100 000 pixels a thread costs more than it does.
    threads = max(1, min(torch.get_num_threads(), labels.numel() >> 17))
    block = max(16, -(-labels.shape[1] // (4 * threads)))
    jobs = [
        (image, target, rows, columns, start, min(start + block, len(target)))
        for image, target in zip(logits.detach().numpy(), labels.numpy(), strict=True)
        for start in range(0, len(target), block)
    ]
    run_in_threads(_paint_rows, jobs, threads)


@lru_cache(maxsize=64)
def _taps(cells: int, pixels: int, align_corners: bool) -> tuple[np.ndarray, ...]:
    """Return between which two cells each pixel lies, and the weight of the second.

    The steps and their rounding are those of `torch.nn.functional.interpolate`; before the first
    centre and after the last one the position clamps.
    """
    if align_corners:
        position = torch.arange(pixels) * ((cells - 1) / max(1, pixels - 1))
    else:
        position = ((torch.arange(pixels) + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
    first = position.long().clamp(max=cells - 1)
    second = (first + 1).clamp(max=cells - 1)
    weight = (position - first).clamp(max=1)
    return first.numpy(), second.numpy(), weight.numpy()


@compiled
def _find_winners(logits, row, winners, peaks):
    """Find the best class of each cell in a row, and its logit; NaN is above all, as in argmax."""
    classes, _, width = logits.shape
    if logits.strides[0] < logits.strides[2]:  # channels last
        for x in range(width):
            winner, peak = 0, logits[0, row, x]
            for k in range(1, classes):
                value = logits[k, row, x]
                if not value <= peak and not np.isnan(peak):
                    winner, peak = k, value
            winners[x], peaks[x] = winner, peak
        return
    winners[:] = 0
    peaks[:] = logits[0, row]
    for k in range(1, classes):
        line = logits[k, row]
        for x in range(width):
            better = (not line[x] <= peaks[x]) & (not np.isnan(peaks[x]))
            peaks[x] = line[x] if better else peaks[x]
            winners[x] = k if better else winners[x]


@compiled
def _lowest_nan(winners, peaks):
    """Return the first class that is NaN at a corner of a square, or -1."""
    lowest = -1
    for corner in range(4):
        if np.isnan(peaks[corner]) and (lowest < 0 or winners[corner] < lowest):
            lowest = winners[corner]
    return lowest


@compiled
def _find_rivals(corners, winners, rivals):
    """Keep the classes that may be the highest somewhere inside a square.

    Each is held against those that win a corner, and the one whose lowest corner is the highest.

    Args:
        corners: (4, K) logits; those of the classes kept move to its front.
        winners: Of the four corners.
        rivals: (K,) receives the classes kept, in their order.

    Returns:
        How many are kept.
    """
    safest, most = winners[0], -np.inf
    for k in range(corners.shape[1]):
        least = min(corners[0, k], corners[1, k], corners[2, k], corners[3, k])
        if least > most:
            safest, most = k, least
    rivals[:] = 1
    for judge in (safest, winners[0], winners[1], winners[2], winners[3]):
        a, b, c, d = corners[0, judge], corners[1, judge], corners[2, judge], corners[3, judge]
        for k in range(corners.shape[1]):
            beaten = (
                (a > corners[0, k])
                & (b > corners[1, k])
                & (c > corners[2, k])
                & (d > corners[3, k])
            )
            rivals[k] = 0 if beaten else rivals[k]
    kept = 0
    for k in range(corners.shape[1]):
        if rivals[k]:
            for corner in range(4):
                corners[corner, kept] = corners[corner, k]
            rivals[kept] = k
            kept += 1
    return kept


@compiled
def _paint_square(labels, corners, rivals, weights, best):  # noqa: PLR0917
    """Let the rivals compete for each pixel of a square; of equals the first wins.

    `best` has room for a number of each column.
    """
    row_weights, column_weights = weights
    for y in range(len(row_weights)):
        low = row_weights[y]
        best[: len(column_weights)] = -np.inf
        labels[y] = rivals[0]
        for i in range(len(rivals)):
            left = (1 - low) * corners[0, i] + low * corners[2, i]
            right = (1 - low) * corners[1, i] + low * corners[3, i]
            for x in range(len(column_weights)):
                value = (1 - column_weights[x]) * left + column_weights[x] * right
                better = value > best[x]
                best[x] = value if better else best[x]
                labels[y, x] = rivals[i] if better else labels[y, x]


@compiled
def _paint_disputed(logits, labels, columns, row_weights, upper, lower):  # noqa: PLR0917
    """Paint those squares of a row of squares whose four corners do not agree.

    Args:
        logits: (K, h, w).
        labels: (rows, W), all pixels of this row of squares.
        columns: The taps of the columns.
        row_weights: (rows,) weight of the lower cells.
        upper: Number of the upper row of cells, their winners and their peaks.
        lower: The same of the lower row.
    """
    corners = np.empty((4, len(logits)), np.float32)
    rivals = np.empty(len(logits), np.int64)
    best = np.empty(labels.shape[1], np.float32)
    (top, above, high), (bottom, below, low) = upper, lower
    lefts, rights, column_weights = columns
    x = 0
    while x < len(lefts):
        start, left, right = x, lefts[x], rights[x]
        while x < len(lefts) and lefts[x] == left:
            x += 1
        winners = (above[left], above[right], below[left], below[right])
        if winners[0] == winners[1] == winners[2] == winners[3]:
            continue
        invalid = _lowest_nan(winners, (high[left], high[right], low[left], low[right]))
        if invalid >= 0:
            labels[:, start:x] = invalid
            continue
        for k in range(len(logits)):
            corners[0, k], corners[1, k] = logits[k, top, left], logits[k, top, right]
            corners[2, k], corners[3, k] = logits[k, bottom, left], logits[k, bottom, right]
        kept = _find_rivals(corners, winners, rivals)
        weights = (row_weights, column_weights[start:x])
        _paint_square(labels[:, start:x], corners, rivals[:kept], weights, best)


@compiled
def _paint_rows(logits, labels, rows, columns, start, stop):  # noqa: PLR0917
    """Paint the rows `start` to `stop` of a label map (H, W), from logits (K, h, w)."""
    tops, bottoms, weights = rows
    width = logits.shape[2]
    above, below = np.empty(width, np.int64), np.empty(width, np.int64)
    high, low = np.empty(width, np.float32), np.empty(width, np.float32)
    y, bottom = start, -1
    while y < stop:
        begin, top = y, tops[y]
        while y < stop and tops[y] == top:
            y += 1
        above, below, high, low = below, above, low, high
        if bottom != top:
            _find_winners(logits, top, above, high)
        bottom = bottoms[begin]
        _find_winners(logits, bottom, below, low)
        square_rows = labels[begin:y]
        for x in range(len(columns[0])):
            square_rows[0, x] = above[columns[0][x]]
        square_rows[1:] = square_rows[0]
        upper, lower = (top, above, high), (bottom, below, low)
        _paint_disputed(logits, square_rows, columns, weights[begin:y], upper, lower)
