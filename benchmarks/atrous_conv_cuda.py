"""ASPP on a CUDA device: without padded taps, beside cuDNN and torch.compile(max-autotune).

v3's pyramid at 513x513 and output stride 8: maps of 2048 channels on 65x65 cells, rates 12, 24 and
36, 256 channels out, batch norm folded, bfloat16. First the branches alone (the 1x1, the three 3x3,
and their concatenation), also with other tilings; then the whole pyramid with image pooling and
projection. Each way must give the reference's numbers before it is timed; ratios are to the first,
cuDNN without a compiler.

`python -m benchmarks.atrous_conv_cuda` takes some minutes, most of them to compile, and keeps what
it has found after each batch size.
"""

import copy
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from atrous.fast.aspp_cuda import LiveTapsASPP
from atrous.fast.folding import fold_norm
from atrous.fast.image_bias import FastASPP
from atrous.kernels.tap_tiles import plan
from atrous.nn import ASPP
from benchmarks.interleaved import compare, publish

CHANNELS, OUT_CHANNELS, SIZE, RATES = 2048, 256, (65, 65), (12, 24, 36)
BATCHES = (8, 1)
CALLS, ROUNDS = 50, 9
TOLERANCE = 0.02  # of the largest value, for sums of 18432 products rounded to bfloat16

Way = Callable[[Tensor], Tensor]


def _folded_aspp() -> FastASPP:
    """Return the pyramid in float32, folded; its norms have statistics, so nothing is trivial."""
    pyramid = ASPP(CHANNELS, OUT_CHANNELS, rates=RATES).eval().requires_grad_(False)
    for module in pyramid.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    for block in (pyramid.point, *pyramid.atrous, pyramid.image, pyramid.project):
        block[0], block[1] = fold_norm(block[0], block[1]), nn.Identity()
    return FastASPP(pyramid)


def _branches(aspp: FastASPP, x: Tensor) -> Tensor:
    return torch.cat([aspp.point(x), *aspp.atrous(x)], dim=1)


def _branch_ways(aspp: FastASPP, fused: LiveTapsASPP) -> dict[str, Way]:
    """Return the branches alone, with the kernel cut in several ways."""
    from atrous.kernels.atrous_conv_cuda import Tiling, convolve_live_taps

    module = fused.branches

    def cut(tiling: Tiling, x: Tensor) -> Tensor:
        shape = len(x), module.bias.shape[1], *x.shape[2:]
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        weight, bias, kernels = module.weight, module.bias, module.kernels
        convolve_live_taps(x, weight, bias, out, kernels=kernels, relu=True, tiling=tiling)
        return out

    eager = partial(_branches, aspp)
    ways: dict[str, Way] = {
        "cuDNN, eager": eager,
        "max-autotune": torch.compile(eager, mode="max-autotune", dynamic=False),
        "live taps": module,
    }
    for tiling in (
        Tiling(128, 256, 64, warps=8, stages=4),
        Tiling(128, 256, 64, warps=8, stages=3),
        Tiling(256, 128, 64, warps=8, stages=4),
        Tiling(128, 128, 64, warps=8, stages=4),
        Tiling(128, 128, 64, warps=4, stages=3),
        Tiling(64, 256, 64, warps=4, stages=4),
        Tiling(64, 128, 64, warps=4, stages=4),
    ):
        ways[f"live taps, tiles of {'x'.join(map(str, tiling))}"] = partial(cut, tiling)
    return ways


def _pyramid_ways(aspp: FastASPP, fused: LiveTapsASPP) -> dict[str, Way]:
    return {
        "cuDNN, eager": aspp,
        "max-autotune": torch.compile(aspp, mode="max-autotune", dynamic=False),
        "live taps": fused,
    }


def _rows(ways: dict[str, Way], x: Tensor, expected: Tensor) -> dict[str, Any]:
    """Time the ways that fit the device and give what is expected; say which do not."""
    timed = {}
    for name, way in ways.items():
        try:
            difference = _difference(way(x), expected)
        except Exception as error:  # a tiling that is too large must not end the others
            print(f"  {name}: left out, {type(error).__name__}: {str(error).splitlines()[0][:90]}")
            continue
        if not difference <= TOLERANCE:
            sys.exit(f"{name} is wrong: off by {difference:.3f} of the largest value")
        timed[name] = partial(_many, way, x)
    table = compare(timed, rounds=ROUNDS)
    for row in table.values():
        row["milliseconds_a_call"] = round(1000 * row["seconds"] / CALLS, 3)
    return table


def _many(way: Way, x: Tensor) -> None:
    for _ in range(CALLS):
        way(x)
    torch.cuda.synchronize()


def _difference(y: Tensor, expected: Tensor) -> float:
    return ((y.float() - expected).abs().max() / expected.abs().max()).item()


def _share(fused: LiveTapsASPP, batch: int) -> str:
    """Say how much of the branches' taps is computed."""
    kernels = fused.branches.kernels
    tiles = plan(kernels, batch=batch, size=SIZE, cells=128)
    live = 128 * sum(tile.live_taps for tile in tiles)
    every = batch * SIZE[0] * SIZE[1] * sum(kernel.taps for kernel in kernels)
    return f"batch {batch}: {live / every:.3f} of all taps are computed, in {len(tiles)} tiles"


@torch.no_grad()
def main() -> None:
    """Check and time the ways in turn, batch by batch, and publish the table."""
    if not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device here; run benchmarks.atrous_conv_cuda where one is")
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True  # cuDNN at its best
    torch.backends.cudnn.allow_tf32 = False  # and in the reference exact
    exact = _folded_aspp().cuda()
    aspp = copy.deepcopy(exact).bfloat16().to(memory_format=torch.channels_last)
    fused = LiveTapsASPP(aspp)
    table: dict[str, Any] = {}
    title = (
        f"ASPP, bfloat16, {CHANNELS} channels on 65x65, rates {RATES}; seconds for {CALLS} calls"
    )
    device = torch.cuda.get_device_name()
    for batch in BATCHES:
        print(_share(fused, batch))
        x = torch.randn(batch, CHANNELS, *SIZE, device="cuda").relu().bfloat16()
        x = x.contiguous(memory_format=torch.channels_last)
        for part, ways, expected in (
            ("branches", _branch_ways(aspp, fused), _branches(exact, x.float())),
            ("pyramid", _pyramid_ways(aspp, fused), exact(x.float())),
        ):
            rows = _rows(ways, x, expected)
            table |= {f"batch {batch}, {part}: {way}": row for way, row in rows.items()}
        publish("atrous_conv_cuda", title, table, device=device)


if __name__ == "__main__":
    main()
