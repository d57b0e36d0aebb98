"""Label maps on CUDA: tiles of pixels that stop where all four centres agree, by Triton.

The idea is that of `label_map_cpu`. A tile loads the winners of the centres around its pixels;
only where they differ does it go through the classes, and loads logits for those pixels alone.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# Values inside a kernel have the types of Triton's compiler.

import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE_ROWS, _TILE_COLUMNS = 8, 32


def paint_label_map(logits: Tensor, labels: Tensor, *, align_corners: bool = False) -> None:
    """Write into each pixel of `labels` the class whose interpolated logit is the highest.

    Args:
        logits: (B, K, h, w) float32, for K >= 1 classes, in any layout.
        labels: (B, H, W) integers on the same device, C-contiguous, H and W at least 1.
        align_corners: As in `torch.nn.functional.interpolate`.
    """
    peaks, winners = logits.max(dim=1)  # NaN is above all, as in argmax
    batch, height, width = labels.shape
    tiles = (triton.cdiv(width, _TILE_COLUMNS), triton.cdiv(height, _TILE_ROWS), batch)
    with torch.cuda.device_of(logits):
        _paint_tile[tiles](
            logits,
            peaks.contiguous(),
            winners.contiguous(),
            labels,
            *logits.shape[1:],
            *logits.stride(),
            height,
            width,
            ALIGN_CORNERS=align_corners,
            TILE_ROWS=_TILE_ROWS,
            TILE_COLUMNS=_TILE_COLUMNS,
            enable_fp_fusion=False,
        )


@triton.jit
def _paint_tile(  # noqa: PLR0913, PLR0917
    logits,
    peaks,
    winners,
    labels,
    classes,
    cell_rows,
    cell_columns,
    image_stride,
    class_stride,
    row_stride,
    column_stride,
    height,
    width,
    ALIGN_CORNERS: tl.constexpr,  # noqa: N803
    TILE_ROWS: tl.constexpr,  # noqa: N803
    TILE_COLUMNS: tl.constexpr,  # noqa: N803
):
    image = tl.program_id(2).to(tl.int64)
    y = (tl.program_id(1) * TILE_ROWS + tl.arange(0, TILE_ROWS))[:, None]
    x = (tl.program_id(0) * TILE_COLUMNS + tl.arange(0, TILE_COLUMNS))[None, :]
    inside = (y < height) & (x < width)
    top, bottom, low = _taps(y, cell_rows, height, ALIGN_CORNERS)
    left, right, late = _taps(x, cell_columns, width, ALIGN_CORNERS)

    corner = image * cell_rows * cell_columns
    a = corner + top * cell_columns + left
    b = corner + top * cell_columns + right
    c = corner + bottom * cell_columns + left
    d = corner + bottom * cell_columns + right
    winner = tl.load(winners + a, inside, 0)
    disputed = winner != tl.load(winners + b, inside, 0)
    disputed |= winner != tl.load(winners + c, inside, 0)
    disputed |= winner != tl.load(winners + d, inside, 0)
    if tl.max(disputed.to(tl.int32)) > 0:
        invalid = _if_nan(peaks + a, winners + a, disputed, classes)
        invalid = tl.minimum(invalid, _if_nan(peaks + b, winners + b, disputed, classes))
        invalid = tl.minimum(invalid, _if_nan(peaks + c, winners + c, disputed, classes))
        invalid = tl.minimum(invalid, _if_nan(peaks + d, winners + d, disputed, classes))

        start = logits + image * image_stride
        upper_left = start + top * row_stride + left * column_stride
        upper_right = start + top * row_stride + right * column_stride
        lower_left = start + bottom * row_stride + left * column_stride
        lower_right = start + bottom * row_stride + right * column_stride
        best = tl.full((TILE_ROWS, TILE_COLUMNS), float("-inf"), tl.float32)
        for k in range(classes):
            upper = tl.load(upper_left, disputed, 0) * (1 - late)
            upper += tl.load(upper_right, disputed, 0) * late
            lower = tl.load(lower_left, disputed, 0) * (1 - late)
            lower += tl.load(lower_right, disputed, 0) * late
            value = upper * (1 - low) + lower * low
            better = disputed & (value > best)
            best = tl.where(better, value, best)
            winner = tl.where(better, k, winner)
            upper_left += class_stride
            upper_right += class_stride
            lower_left += class_stride
            lower_right += class_stride
        winner = tl.where(invalid < classes, invalid, winner)
    pixel = image * height * width + y * width + x
    tl.store(labels + pixel, winner.to(labels.dtype.element_ty), inside)


@triton.jit
def _taps(pixel, cells, pixels, ALIGN_CORNERS: tl.constexpr):  # noqa: N803
    """Return between which two cells a pixel lies, and the weight of the second."""
    if ALIGN_CORNERS:
        position = pixel * ((cells - 1) * 1.0 / tl.maximum(pixels - 1, 1))
    else:
        # Rounded once, as the CUDA kernel of `torch.nn.functional.interpolate` does.
        position = tl.maximum(tl.fma(pixel + 0.5, cells * 1.0 / pixels, -0.5), 0.0)
    first = tl.minimum(position.to(tl.int32), cells - 1)
    second = tl.minimum(first + 1, cells - 1)
    # Offsets into large logits need more than 32 bits.
    return first.to(tl.int64), second.to(tl.int64), tl.minimum(position - first, 1.0)


@triton.jit
def _if_nan(peak, winner, mask, classes):
    """Return the winner of the cells whose logit is NaN, and `classes` for the others."""
    peak = tl.load(peak, mask, 0)
    return tl.where(peak != peak, tl.load(winner, mask, 0), classes)  # noqa: PLR0124
