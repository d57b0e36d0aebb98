"""Triton's interpreter runs the kernel on the CPU; it must be chosen before the first import."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from atrous.kernels.label_map import label_map, plain_label_map

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")

CASES = """
import torch
from atrous.kernels.label_map import plain_label_map
from atrous.kernels.label_map_cuda import paint_label_map

def check(logits, size, dtype=torch.uint8, **options):
    labels = torch.full((len(logits), *size), 254, dtype=dtype)
    paint_label_map(logits, labels, **options)
    assert torch.equal(labels, plain_label_map(logits, size=size, **options)), (logits.shape, size)

torch.manual_seed(0)
noise = torch.randn(2, 5, 4, 9)
check(noise, (17, 33))
check(noise.contiguous(memory_format=torch.channels_last), (17, 33))
check(noise[:, ::2, :, 1:], (17, 33))
check(noise[:, :, :1, :1], (9, 3))
check(noise[:, :1], (9, 3))
check(noise, (17, 33), align_corners=True)
check(noise, (1, 40), align_corners=True)
check(noise, (3, 40))
check(torch.randn(1, 260, 2, 2), (4, 5), torch.int32)
noise[0, 3, 1, 2] = noise[0, 1, 1, 3] = torch.nan
check(noise, (17, 33))
masked = noise[1:].clone()
masked[:, 2] = -torch.inf
labels = torch.empty(1, 17, 33, dtype=torch.uint8)
paint_label_map(masked, labels)
masked[:, 2] = -1e9
assert torch.equal(labels, plain_label_map(masked, size=(17, 33)))
print("equal")
"""


def test_it_equals_the_plain_way_in_the_interpreter():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", CASES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("classes", [1, 19, 150])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_the_plain_way_on_a_device(classes, layout):
    logits = torch.randn(2, classes, 33, 65, device="cuda").contiguous(memory_format=layout)
    for size in ((513, 257), (129, 1030)):
        different = label_map(logits, size=size) != plain_label_map(logits, size=size)
        assert different.float().mean() < 1e-5  # two classes may be equal but for rounding
