import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import functional as F

from atrous.kernels.label_map import plain_label_map
from atrous.kernels.label_map_cpu import paint_label_map


@pytest.fixture(autouse=True)
def seed():
    # Where two classes are equal but for rounding, either may win; with these numbers none are.
    torch.manual_seed(0)


def painted(logits, size, **options):
    labels = torch.full((len(logits), *size), 254, dtype=torch.uint8)
    paint_label_map(logits, labels, **options)
    return labels


def smooth(classes, height, width):
    coarse = torch.randn(1, classes, 3, 4)
    return F.interpolate(coarse, size=(height, width), mode="bicubic")


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (64, 3), (67, 130), (3, 200), (10, 7)])
@pytest.mark.parametrize("grid", [(1, 1), (5, 9), (1, 6), (17, 33)])
@pytest.mark.parametrize("make", [lambda *shape: torch.randn(1, *shape), smooth])
def test_it_equals_the_plain_way(make, grid, size):
    logits = make(19, *grid)
    assert torch.equal(painted(logits, size), plain_label_map(logits, size=size))
    expected = plain_label_map(logits, size=size, align_corners=True)
    assert torch.equal(painted(logits, size, align_corners=True), expected)


def test_any_layout_will_do():
    logits = torch.randn(2, 6, 9, 7)
    expected = plain_label_map(logits, size=(40, 50))
    wide = torch.randn(2, 12, 9, 14)
    wide[:, ::2, :, ::2] = logits
    assert torch.equal(
        painted(logits.contiguous(memory_format=torch.channels_last), (40, 50)), expected
    )
    assert torch.equal(painted(wide[:, ::2, :, ::2], (40, 50)), expected)
    assert torch.equal(painted(logits.mT.contiguous().mT, (40, 50)), expected)


def test_a_class_that_wins_no_corner_can_win_between_them():
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [4.1, 4.1], [3.9, 3.9]]).reshape(1, 4, 1, 2)
    assert painted(logits, (1, 10))[0, 0].tolist() == [0, 0, 0, 2, 2, 2, 2, 1, 1, 1]


def test_of_equals_the_first_wins_between_corners_too():
    logits = torch.tensor([[5.0, 0.0], [4.0, 4.0], [0.0, 5.0], [4.0, 4.0]]).reshape(1, 4, 1, 2)
    assert 3 not in painted(logits, (6, 16))


@pytest.mark.parametrize("classes", [(2,), (1, 4), (0, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_nan_wins_wherever_it_reaches(classes, layout):
    logits = torch.randn(1, 5, 6, 7)
    for step, k in enumerate(classes):
        logits[0, k, 2, 2 + step] = torch.nan
    logits = logits.contiguous(memory_format=layout)
    assert torch.equal(painted(logits, (48, 56)), plain_label_map(logits, size=(48, 56)))


def test_a_masked_class_loses():
    logits = torch.randn(1, 5, 6, 7)
    finite = torch.cat([logits[:, :2], torch.full((1, 1, 6, 7), -1e9), logits[:, 3:]], dim=1)
    logits[:, 2] = -torch.inf
    assert torch.equal(painted(logits, (48, 56)), plain_label_map(finite, size=(48, 56)))


def test_nothing_but_masked_classes_gives_a_class():
    assert painted(torch.full((1, 3, 2, 2), -torch.inf), (5, 5)).max() < 3


def test_threads_change_nothing():
    logits = torch.randn(3, 8, 20, 30)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(painted(logits, (300, 444)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    logits = torch.randn(1, 8, 20, 30)
    expected = painted(logits, (600, 444))
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # it would wait for ever for threads that are not there
        equal = torch.equal(painted(logits, (600, 444)), expected)
        os._exit(0 if equal else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_several_threads_may_call_it_at_once():
    logits = torch.randn(1, 8, 20, 30)
    expected = painted(logits, (150, 111))
    with ThreadPoolExecutor(4) as pool:
        for labels in pool.map(lambda _: painted(logits, (150, 111)), range(8)):
            assert torch.equal(labels, expected)
