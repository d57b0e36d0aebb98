"""Atrous convolutions on CUDA that compute no padding: one launch for all branches, by Triton.

A program takes a tile of `tap_tiles` and a block of output channels. All cells of its tile read
the same taps, so each tap is one product of matrices, cells by channels, from addresses that differ
from cell to cell by nothing but the cell: no mask, no product with zero. Channels are gone through
outside and taps inside, so that what the taps share is still in the cache.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false
# Values inside a kernel have the types of Triton's compiler.

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from atrous.kernels.tap_tiles import Kernel, Tile, plan


class Tiling(NamedTuple):
    """How the work is cut: cells and output channels of a program, input channels of a step."""

    cells: int = 128
    out_channels: int = 256
    in_channels: int = 64
    warps: int = 8
    stages: int = 4

    @property
    def bytes(self) -> int:
        """Shared memory that a program takes, a half-precision number being two bytes."""
        return 2 * self.stages * (self.cells + self.out_channels) * self.in_channels


# The best first; few cells are cut smaller, so that a hundred multiprocessors have several tiles.
_LARGE = Tiling(), Tiling(stages=3)
_SMALL = Tiling(cells=64, out_channels=128, warps=4), Tiling(64, 64, 64, warps=4, stages=3)
_MANY_CELLS = 65536


def convolve_live_taps(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    out: Tensor,
    *,
    kernels: Sequence[Kernel],
    relu: bool,
    tiling: Tiling | None = None,
) -> None:
    """Write into `out` what `atrous.kernels.atrous_conv.plain_atrous_branches` returns.

    Args:
        x: Maps (B, C, H, W), dense with the channels last, in float16, bfloat16 or float32.
        weight: (T, C, D) of the same type, contiguous, as `pack_weights` makes it.
        bias: (B or 1, N * D) of any floating type, contiguous.
        out: (B, N * D, H, W) of the type of x, dense with the channels last.
        kernels: The taps of the N branches, T in all.
        relu: Whether what is below 0 becomes 0.
        tiling: How the work is cut; chosen by the number of cells and the device when left out.
    """
    batch, channels, height, width = x.shape
    out_channels = weight.shape[2]
    if tiling is None:
        tiling = _tiling(x.device, cells=len(kernels) * batch * height * width)
    size = height, width
    tiles = _on_device(tuple(kernels), batch=batch, size=size, cells=tiling.cells, device=x.device)
    block = min(tiling.out_channels, max(16, triton.next_power_of_2(out_channels)))
    programs = len(tiles) * triton.cdiv(out_channels, block)
    with torch.cuda.device_of(x):
        _convolve_tile[(programs,)](
            x,
            weight,
            bias,
            out,
            tiles,
            batch,
            height,
            width,
            0 if len(bias) == 1 else bias.shape[1],
            out.shape[1],
            C=channels,
            D=out_channels,
            RELU=relu,
            CELLS=tiling.cells,
            BLOCK_C=tiling.in_channels,
            BLOCK_D=block,
            num_warps=tiling.warps,
            num_stages=tiling.stages,
            enable_fp_fusion=True,
        )


def _tiling(device: torch.device, *, cells: int) -> Tiling:
    """Return the best tiling for so many cells that has room in a multiprocessor."""
    room = torch.cuda.get_device_properties(device).shared_memory_per_block_optin
    candidates = (*_LARGE, *_SMALL) if cells >= _MANY_CELLS else _SMALL
    return next((tiling for tiling in candidates if tiling.bytes <= room), candidates[-1])


@lru_cache(maxsize=64)
def _on_device(
    kernels: tuple[Kernel, ...],
    *,
    batch: int,
    size: tuple[int, int],
    cells: int,
    device: torch.device,
) -> Tensor:
    """Return the plan as (tiles, fields) int32."""
    tiles = plan(kernels, batch=batch, size=size, cells=cells)
    return torch.tensor(tiles, dtype=torch.int32, device=device)


FIELDS = tl.constexpr(len(Tile._fields))


@triton.jit(do_not_specialize=["batch", "height", "width"])
def _convolve_tile(  # noqa: PLR0913, PLR0917
    x,
    weight,
    bias,
    out,
    tiles,
    batch,
    height,
    width,
    bias_stride,
    out_stride,
    C: tl.constexpr,  # noqa: N803
    D: tl.constexpr,  # noqa: N803
    RELU: tl.constexpr,  # noqa: N803
    CELLS: tl.constexpr,  # noqa: N803
    BLOCK_C: tl.constexpr,  # noqa: N803
    BLOCK_D: tl.constexpr,  # noqa: N803
):
    blocks: tl.constexpr = (D + BLOCK_D - 1) // BLOCK_D
    steps: tl.constexpr = (C + BLOCK_C - 1) // BLOCK_C
    tile = tiles + tl.program_id(0) // blocks * FIELDS
    branch, first = tl.load(tile), tl.load(tile + 1)
    top, left, high, wide = _four(tile + 2)
    tap_rows, tap_columns, first_tap, taps_in_row = _four(tile + 6)
    first_shift, row_shift = tl.load(tile + 10), tl.load(tile + 11)
    column_shift = tl.load(tile + 12)

    # Beyond the last cell stands the last one again, and is written again, with the same values.
    index = tl.minimum(first + tl.arange(0, CELLS), batch * high * wide - 1)
    image, rest = index // (high * wide), index % (high * wide)
    row, column = top + rest // wide, left + rest % wide
    cell = (image * height + row).to(tl.int64) * width + column

    read = tl.arange(0, BLOCK_C)
    made = tl.program_id(0) % blocks * BLOCK_D + tl.arange(0, BLOCK_D)
    inputs = x + cell[:, None] * C + read[None, :]
    # Channels beyond the last are read as the last, and not written. Where there are none, not to
    # say so leaves it plain that neighbours lie side by side: only then are weights read ahead.
    near = made if D % BLOCK_D == 0 else tl.minimum(made, D - 1)
    weights = weight + read[:, None] * D + near[None, :]
    total = tl.zeros((CELLS, BLOCK_D), tl.float32)
    taps = tap_rows * tap_columns
    for step in range(taps * steps):
        start, tap = step // taps * BLOCK_C, step % taps
        down, right = tap // tap_columns, tap % tap_columns
        shift = (first_shift + down * row_shift + right * column_shift).to(tl.int64) * C + start
        place = ((first_tap + down * taps_in_row + right).to(tl.int64) * C + start) * D
        if C % BLOCK_C == 0:
            a, b = tl.load(inputs + shift), tl.load(weights + place)
        else:
            some = start + read < C
            a = tl.load(inputs + shift, some[None, :], 0)
            b = tl.load(weights + place, some[:, None], 0)
        total = tl.dot(a, b, total, input_precision="ieee")

    written = (made < D)[None, :]
    place = branch * D + made[None, :]
    total += tl.load(bias + image[:, None].to(tl.int64) * bias_stride + place, written, 0)
    if RELU:
        total = tl.where(total < 0, 0.0, total)  # a NaN stays one
    tl.store(out + cell[:, None] * out_stride + place, total.to(out.dtype.element_ty), written)


@triton.jit
def _four(fields):
    return tl.load(fields), tl.load(fields + 1), tl.load(fields + 2), tl.load(fields + 3)
