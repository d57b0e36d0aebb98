"""Triton's interpreter runs the kernel on the CPU, its compiler needs no device to compile for one.

The interpreter must be chosen before Triton is imported, so both have processes of their own. It
multiplies bfloat16 as if it were integers, so bfloat16 is seen on a device only.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from atrous.kernels.atrous_conv import atrous_branches, pack_weights, plain_atrous_branches
from atrous.kernels.tap_tiles import Kernel

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")
needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CASES = """
import torch
from atrous.kernels import atrous_conv, atrous_conv_cuda
from atrous.kernels.atrous_conv import atrous_branches, pack_weights, plain_atrous_branches
from atrous.kernels.atrous_conv_cuda import Tiling, convolve_live_taps
from atrous.kernels.tap_tiles import Kernel

torch.manual_seed(0)
LAST = torch.channels_last
SMALL = Tiling(cells=16, out_channels=16, in_channels=16)

def square(taps, rate):
    return Kernel(taps, taps, rate, rate)

def run(x, weight, bias, **how):
    shape = len(x), bias.shape[1], *x.shape[2:]
    out = torch.full(shape, torch.nan, dtype=x.dtype).contiguous(memory_format=LAST)
    convolve_live_taps(x, weight, bias, out, **how)
    return out

def guarded(*shape, dtype):
    # What lies before and behind the map in memory: whoever reads it there spreads it.
    batch, channels, height, width = shape
    memory = torch.full((batch + 2, height, width, channels), torch.nan, dtype=dtype)
    memory[1:-1].normal_()
    return memory[1:-1].permute(0, 3, 1, 2)

def check(shape, out_channels, kernels, *, dtype=torch.float32, per_image=False, relu, tiling):
    x = guarded(*shape, dtype=dtype)
    weights = [torch.randn(out_channels, shape[1], k.rows, k.columns) for k in kernels]
    weight = pack_weights(weights).to(dtype)
    bias = torch.randn(shape[0] if per_image else 1, len(kernels) * out_channels)
    y = run(x, weight, bias, kernels=kernels, relu=relu, tiling=tiling)
    expected = plain_atrous_branches(
        x.double(), weight.double(), bias.double(), kernels=kernels, relu=relu
    )
    rounding = 1e-5 if dtype == torch.float32 else 2e-3
    torch.testing.assert_close(y.double(), expected, atol=1e-4, rtol=rounding)

# Channels that fill no block, several branches, rates up to beyond the map.
branches = [square(1, 1), square(3, 2), square(3, 7), square(3, 40)]
check((2, 20, 7, 9), 24, branches, relu=True, tiling=Tiling(64, 32, 32))
check((2, 40, 5, 7), 40, [Kernel(3, 5, 2, 3)], dtype=torch.float16, per_image=True, relu=False,
      tiling=Tiling(32, 32, 32))
for size in ((1, 1), (1, 7), (8, 3)):
    for rate in (1, 2, 3, 7, 8):
        check((2, 16, *size), 16, [square(3, rate)], relu=False, tiling=SMALL)
check((3, 16, 6, 5), 32, [square(1, 1)], per_image=True, relu=True, tiling=SMALL)

# Each tap has a bit of its own, so the sum names the taps of a cell.
rate, height, width = 4, 9, 11
x = torch.ones(1, 16, height, width).contiguous(memory_format=LAST)
weight = torch.zeros(9, 16, 16)
weight[:, 0, 0] = 2.0 ** torch.arange(9)
named = run(x, weight, torch.zeros(1, 16), kernels=[square(3, rate)], relu=False, tiling=SMALL)
for i in range(height):
    for j in range(width):
        taps = {
            row * 3 + column
            for row in range(3) for column in range(3)
            if 0 <= i + (row - 1) * rate < height and 0 <= j + (column - 1) * rate < width
        }
        assert named[0, 0, i, j] == sum(2**tap for tap in taps), (i, j)

# A NaN stays one behind ReLU, as in torch.
x[0, 0, 4, 5] = torch.nan
y = run(x, weight[4:5], torch.zeros(1, 16), kernels=[square(1, 1)], relu=True, tiling=SMALL)
assert y[0, 0].isnan().sum() == 1

# As an operator; the layout of the map is any.
atrous_conv._is_half_on_cuda = atrous_conv.has_kernel = lambda *_: True
atrous_conv_cuda._tiling = lambda *_, **__: SMALL
plain = torch.randn(1, 16, 4, 5), torch.randn(10, 16, 16), torch.randn(1, 32)
how = {"kernels": [square(1, 1), square(3, 2)]}
expected = plain_atrous_branches(*plain, **how)
with torch.inference_mode():
    torch.testing.assert_close(atrous_branches(*plain, **how), expected, atol=1e-4, rtol=1e-5)
print("equal")
"""

COMPILATION = """
import subprocess, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from atrous.kernels.atrous_conv_cuda import _LARGE, _SMALL, _convolve_tile

NUMBERS = ("batch", "height", "width", "bias_stride", "out_stride")
for tiling in (_LARGE[0], _SMALL[0]):
    constants = {
        "C": 2048, "D": 256, "RELU": True,
        "CELLS": tiling.cells, "BLOCK_C": tiling.in_channels, "BLOCK_D": tiling.out_channels,
    }
    signature = dict.fromkeys(("x", "weight", "bias", "out"), "*bf16") | {"tiles": "*i32"}
    signature |= dict.fromkeys(NUMBERS, "i32") | dict.fromkeys(constants, "constexpr")
    aligned = [["tt.divisibility", 16]]
    attributes = {(place,): aligned for place in (0, 1, 2, 3, 4, 8, 9)}
    compiled = triton.compile(
        ASTSource(_convolve_tile, signature, constants, attributes),
        target=GPUTarget("cuda", 90, 32),
        options={
            "num_warps": tiling.warps, "num_stages": tiling.stages, "enable_fp_fusion": True,
        },
    )
    assert compiled.metadata.shared <= tiling.bytes, compiled.metadata.shared
    print(compiled.asm["ttgir"])
    print("=== ptx", compiled.asm["ptx"].count("wgmma.mma_async"))
    with open(sys.argv[1], "wb") as file:
        file.write(compiled.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", sys.argv[1]]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
"""


def in_a_process(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_equals_the_reference_in_the_interpreter():
    assert in_a_process(CASES, TRITON_INTERPRET="1") == "equal\n"


def test_compiled_for_hopper_it_feeds_the_matrix_units_ahead_of_time(tmp_path):
    output = in_a_process(COMPILATION, tmp_path / "cubin", TRITON_CACHE_DIR=str(tmp_path))
    programs = output.split("module ")[1:]
    assert len(programs) == 2
    for program in programs:
        (loop,) = re.findall(r"scf\.for.*?scf\.yield", program, flags=re.DOTALL)
        assert loop.count("ttg.async_copy_global_to_local") == 2  # of the map, and of the weights
        assert loop.count("ttng.warp_group_dot ") == 1
        assert "tt.load" not in loop  # which would wait for memory
        assert re.search(r"=== ptx [1-9]", program)
        assert re.search(r"STACK:0 .*LOCAL:0 ", program)  # all sums fit into registers


@pytest.mark.parametrize(
    ("room", "cells", "cut"),
    [
        (232_448, 65_536, (128, 256, 4)),  # compute capability 9.0
        (166_912, 65_536, (128, 256, 3)),  # 8.0
        (101_376, 65_536, (64, 128, 4)),  # 8.9
        (232_448, 65_535, (64, 128, 4)),
        (65_536, 65_536, (64, 64, 3)),
    ],
)
def test_tiles_are_as_large_as_there_is_room_and_work(monkeypatch, room, cells, cut):
    from atrous.kernels import atrous_conv_cuda

    properties = SimpleNamespace(shared_memory_per_block_optin=room)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    tiling = atrous_conv_cuda._tiling(torch.device("cuda"), cells=cells)
    assert (tiling.cells, tiling.out_channels, tiling.stages) == cut
    assert tiling.bytes <= room


@needs_device
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "out_channels"),
    [((8, 512, 65, 65), 256), ((1, 320, 33, 47), 96), ((2, 96, 5, 9), 48)],
)
@pytest.mark.parametrize("per_image", [True, False])
def test_it_equals_the_reference_on_a_device(dtype, shape, out_channels, per_image):
    torch.manual_seed(0)
    kernels = [Kernel(1, 1, 1, 1), *(Kernel(3, 3, rate, rate) for rate in (1, 12, 24, 36))]
    x = torch.randn(shape, device="cuda", dtype=dtype).contiguous(memory_format=torch.channels_last)
    scale = (9 * shape[1]) ** -0.5
    weights = [scale * torch.randn(out_channels, shape[1], k.rows, k.columns) for k in kernels]
    weight = pack_weights(weights).to(x)
    bias = torch.randn(shape[0] if per_image else 1, 5 * out_channels).to(x)
    y = atrous_branches(x, weight, bias, kernels=kernels)
    expected = plain_atrous_branches(
        x.cpu().float(), weight.cpu().float(), bias.cpu().float(), kernels=kernels
    )
    rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(y.cpu().float(), expected, atol=rounding, rtol=rounding)
