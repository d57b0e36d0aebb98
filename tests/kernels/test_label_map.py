import subprocess
import sys
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import atrous
from atrous.kernels import label_map as module
from atrous.kernels import label_map_cpu
from atrous.kernels.label_map import label_map, plain_label_map

sides = st.integers(1, 12)


@given(
    batch=st.integers(0, 3),
    classes=st.integers(1, 6),
    grid=st.tuples(sides, sides),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    align_corners=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_it_is_the_best_class_of_the_resized_logits(
    batch, classes, grid, size, align_corners, seed
):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, *grid, generator=generator)
    resized = F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    labels = label_map(logits, size=size, align_corners=align_corners)
    assert labels.dtype == torch.uint8
    assert labels.shape == (batch, *size)
    two = resized.topk(2, dim=1).values if classes > 1 else torch.ones(batch, 2, *size).cumsum(1)
    clear = (two[:, 0] - two[:, 1]).abs() > 1e-5
    assert torch.equal(labels.long()[clear], resized.argmax(dim=1)[clear])


@pytest.mark.parametrize(
    ("classes", "dtype"), [(255, torch.uint8), (256, torch.int32), (300, torch.int32)]
)
def test_many_classes_need_a_wider_type(classes, dtype):
    logits = torch.zeros(1, classes, 1, 2)
    logits[0, classes - 1] = 1
    for size in ((2, 2), (1, 1)):
        labels = label_map(logits, size=size)
        assert labels.dtype == dtype  # 255 itself is left to mean "ignore"
        assert labels.unique().tolist() == [classes - 1]


def test_of_equals_the_first_wins():
    assert not label_map(torch.zeros(1, 4, 2, 2), size=(5, 5)).any()


def test_logits_stay_as_they_are():
    logits = torch.randn(1, 3, 4, 4)
    before = logits.clone()
    label_map(logits, size=(4, 4))
    label_map(logits, size=(9, 9))
    assert torch.equal(logits, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_type_is_computed_in_float32_or_better(dtype):
    logits = torch.randn(1, 7, 5, 6, requires_grad=True).to(dtype)
    expected = plain_label_map(logits.double(), size=(31, 17))
    assert torch.equal(label_map(logits, size=(31, 17)), expected)


@pytest.fixture(autouse=True)
def _no_map_is_small(monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 0)


def fails(*_, **__):
    raise AssertionError("the kernel was called")


@pytest.mark.parametrize(
    ("logits", "size"),
    [(torch.randn(1, 3, 8, 8), (9, 7)), (torch.randn(1, 3, 4, 4).double(), (9, 9))],
)
def test_where_the_plain_way_is_better_it_is_taken(monkeypatch, logits, size):
    monkeypatch.setattr(label_map_cpu, "paint_label_map", fails)
    assert torch.equal(label_map(logits, size=size), plain_label_map(logits, size=size))
    with pytest.raises(AssertionError, match="was called"):
        label_map(torch.randn(1, 3, 4, 4), size=(9, 9))


def test_small_maps_are_not_worth_compiling_for(monkeypatch):
    monkeypatch.setattr(label_map_cpu, "paint_label_map", fails)
    logits = torch.randn(1, 3, 4, 4)
    monkeypatch.setattr(module, "_LARGE", 1000)
    assert torch.equal(label_map(logits, size=(9, 9)), plain_label_map(logits, size=(9, 9)))
    with pytest.raises(AssertionError, match="was called"):
        label_map(logits, size=(90, 90))


def test_inside_of_compiled_and_exported_networks_it_is_plain(monkeypatch):
    monkeypatch.setattr(label_map_cpu, "paint_label_map", fails)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    logits = torch.randn(1, 3, 4, 4)
    assert torch.equal(label_map(logits, size=(9, 9)), plain_label_map(logits, size=(9, 9)))


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 4, 4), (8, 8)), ((1, 0, 4, 4), (8, 8)), ((1, 3, 4, 4), (0, 8))]
)
def test_what_has_no_labels_is_refused(shape, size):
    with pytest.raises(ValueError, match="size \\(H, W\\) of 1 or more were expected"):
        label_map(torch.zeros(shape), size=size)


def test_the_compiler_is_loaded_at_the_first_call():
    code = "import atrous.kernels.label_map, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_it_has_a_public_name():
    assert atrous.label_map is label_map


@pytest.fixture
def painting(monkeypatch):
    """Return the threads that call the kernel; a new process begins with small maps."""
    threads, paint = [], label_map_cpu.paint_label_map

    def noted(*args, **options):
        threads.append(threading.current_thread())
        paint(*args, **options)

    monkeypatch.setattr(label_map_cpu, "paint_label_map", noted)
    for name, value in (("_brought", 0), ("_loading", None), ("_LARGE", 64_000_000)):
        monkeypatch.setattr(module, name, value)
    return threads


@pytest.mark.parametrize("classes", [4, 300])
def test_many_small_maps_go_the_compiled_way_to_the_same_labels(classes, painting, monkeypatch):
    torch.manual_seed(0)
    logits = torch.randn(1, classes, 5, 7)
    monkeypatch.setattr(module, "_MANY", 2 * classes * 20 * 30)
    maps = [label_map(logits, size=(20, 30)) for _ in range(3)]
    assert painting == [threading.main_thread()] * 2
    expected = plain_label_map(logits, size=(20, 30))
    for found in maps:
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_before_they_are_many_it_is_loaded_in_a_thread(layout, painting, monkeypatch):
    logits = torch.randn(2, 4, 5, 7).contiguous(memory_format=layout)
    monkeypatch.setattr(module, "_SEVERAL", 2 * 2 * 4 * 20 * 30)
    label_map(logits, size=(20, 30))
    label_map(logits, size=(20, 30))
    assert module._loading is None
    for _ in range(2):
        assert torch.equal(label_map(logits, size=(20, 30)), plain_label_map(logits, size=(20, 30)))
    module._loading.join()
    assert painting == [module._loading]


def test_a_process_that_ends_while_it_is_loaded_ends_well():
    code = """
import torch
from atrous.kernels import label_map as module
module._SEVERAL = 0
module.label_map(torch.randn(1, 3, 4, 4), size=(9, 9))
assert module._loading
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
