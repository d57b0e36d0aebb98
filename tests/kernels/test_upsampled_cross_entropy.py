from contextlib import ExitStack

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from atrous.kernels import upsampled_cross_entropy as kernel
from atrous.kernels.upsampled_cross_entropy import (
    Terms,
    pixel_cross_entropies,
    summed_cross_entropy,
)

IGNORE = 255
PLAIN = Terms(None, IGNORE, 0.0)


def by_torch(logits: Tensor, target: Tensor, terms: Terms) -> Tensor:
    """The loss of each pixel, by way of the logits at their full size."""
    size = target.shape[1:]
    if logits.shape[2:] != size:
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return F.cross_entropy(
        logits,
        target,
        weight=terms.weight,
        ignore_index=terms.ignore_index,
        label_smoothing=terms.label_smoothing,
        reduction="none",
    )


def slope_of(loss, logits: Tensor, *rest) -> Tensor:
    x = logits.detach().requires_grad_()
    return torch.autograd.grad(loss(x, *rest).sum(), x)[0]


def example(*shape: int, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits of a shape (B, K, h, w) in float64, and a target of which a part is ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(-1, shape[1], (shape[0], *size), generator=generator)
    return logits, target.where(target >= 0, IGNORE)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(kernel, "_BLOCK_ON_CPU", 100)
    monkeypatch.setattr(kernel, "_COLUMNS", 3)


sides = st.integers(1, 9)


@pytest.mark.usefixtures("small_blocks")
@given(
    batch=st.integers(1, 2),
    classes=st.integers(1, 5),
    grid=st.tuples(sides, sides),
    size=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    last=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_losses_and_gradients_are_those_of_the_plain_way(
    batch, classes, grid, size, weighted, smoothing, last, seed
):
    logits, target = example(batch, classes, *grid, size=size, seed=seed)
    if last:
        logits = logits.contiguous(memory_format=torch.channels_last)
    terms = Terms(torch.linspace(0, 2, classes).double() if weighted else None, IGNORE, smoothing)
    losses = by_torch(logits, target, terms)
    torch.testing.assert_close(pixel_cross_entropies(logits, target, terms), losses)
    torch.testing.assert_close(summed_cross_entropy(logits, target, terms), losses.sum())
    expected = slope_of(by_torch, logits, target, terms)
    torch.testing.assert_close(slope_of(summed_cross_entropy, logits, target, terms), expected)


@pytest.mark.parametrize("grid", [(17, 17), (5, 9), (65, 65), (1, 1)])
def test_single_precision_is_exact_to_a_millionth(grid):
    logits, target = example(1, 7, *grid, size=(65, 129))
    single = logits.float()
    exact = by_torch(single.double(), target, PLAIN).sum().item()
    assert summed_cross_entropy(single, target, PLAIN).item() == pytest.approx(exact, rel=1e-6)
    slope = slope_of(by_torch, single.double(), target, PLAIN)
    error = slope_of(summed_cross_entropy, single, target, PLAIN) - slope
    assert error.abs().max() < 1e-6 * slope.abs().max()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 0, 2]).double()])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_that_of_finite_differences(weight, smoothing):
    logits, target = example(2, 3, 3, 2, size=(7, 5))
    terms = Terms(weight, IGNORE, smoothing)
    x = logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: summed_cross_entropy(x, target, terms), (x,))


def test_it_needs_a_fraction_of_the_memory():
    logits, target = example(2, 20, 33, 33, size=(257, 257))
    logits, full = logits.float(), 4 * 20 * target.numel()
    plain = peak_bytes(lambda: slope_of(by_torch, logits, target, PLAIN))
    ours = peak_bytes(lambda: slope_of(summed_cross_entropy, logits, target, PLAIN))
    assert plain > 2 * full
    assert ours < 0.4 * full


def peak_bytes(work) -> int:
    """How far the memory of tensors grows, by the allocator's own account."""
    with torch.profiler.profile(profile_memory=True) as profile:
        work()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def test_the_same_input_gives_the_same_bits():
    logits, target = example(2, 30, 9, 9, size=(90, 130))
    single = logits.float()
    first, *others = (slope_of(summed_cross_entropy, single, target, PLAIN) for _ in range(3))
    assert all(torch.equal(other, first) for other in others)


@pytest.fixture
def threads(monkeypatch):
    monkeypatch.setattr(kernel, "_VALUES_OF_THREAD", 1)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("inference", [False, True])
def test_any_number_of_threads_finds_the_same_bits(threads, inference):
    logits, target = example(3, 5, 9, 9, size=(20, 30))
    with torch.inference_mode(inference):
        found = []
        for number in (1, 2, 5):
            threads(number)
            found.append(pixel_cross_entropies(logits, target, PLAIN))
            assert summed_cross_entropy(logits, target, PLAIN) == found[-1].sum(dim=(1, 2)).sum()
            assert torch.get_num_threads() == number
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_gradient_is_the_same_with_threads(threads):
    logits, target = example(3, 5, 9, 9, size=(20, 30))
    slopes = []
    for number in (1, 2):
        threads(number)
        slopes.append(slope_of(summed_cross_entropy, logits, target, PLAIN))
    assert torch.equal(*slopes)


def test_the_threads_are_given_back_when_one_fails(threads):
    logits, target = example(3, 5, 9, 9, size=(20, 30))
    threads(2)
    with pytest.raises(RuntimeError, match="index 9 is out of bounds"):
        summed_cross_entropy(logits, target.fill_(9), PLAIN)
    assert torch.get_num_threads() == 2


def test_without_a_need_for_a_gradient_none_is_made():
    logits, target = example(1, 3, 2, 2, size=(5, 5))
    assert summed_cross_entropy(logits, target, PLAIN).grad_fn is None
    logits.requires_grad_()
    assert not pixel_cross_entropies(logits, target, PLAIN).requires_grad
    with torch.no_grad():
        assert summed_cross_entropy(logits, target, PLAIN).grad_fn is None


def test_evaluation_makes_no_gradient_to_throw_away(monkeypatch):
    logits, target = example(1, 3, 2, 2, size=(5, 5))
    monkeypatch.setattr(kernel._Band, "transpose", None)
    with torch.no_grad():
        summed_cross_entropy(logits.requires_grad_(), target, PLAIN)
    with pytest.raises(TypeError):
        summed_cross_entropy(logits, target, PLAIN)


def test_the_gradient_is_kept_for_who_asks_twice_and_scaled():
    logits, target = example(1, 3, 2, 2, size=(5, 5))
    logits.requires_grad_()
    loss = summed_cross_entropy(logits, target, PLAIN)
    (once,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (twice,) = torch.autograd.grad(2 * loss, logits)
    assert torch.equal(twice, 2 * once)


def test_a_second_derivative_is_refused():
    logits, target = example(1, 3, 2, 2, size=(5, 5))
    logits.requires_grad_()
    loss = summed_cross_entropy(logits, target, PLAIN)
    with pytest.raises(RuntimeError, match=r"use .*plain_upsampled_cross_entropy"):
        torch.autograd.grad(loss, logits, create_graph=True)


def test_logits_and_target_stay_as_they_are():
    for size in ((4, 4), (9, 7)):
        logits, target = example(1, 3, 4, 4, size=size)
        before = logits.clone(), target.clone()
        slope_of(summed_cross_entropy, logits, target, PLAIN)
        assert torch.equal(logits, before[0])
        assert torch.equal(target, before[1])


def test_at_full_size_a_class_may_be_impossible():
    logits, target = example(1, 3, 4, 4, size=(4, 4))
    logits[:, 0] = -torch.inf
    target = target.clamp(min=1)
    expected = by_torch(logits, target, PLAIN)
    torch.testing.assert_close(pixel_cross_entropies(logits, target, PLAIN), expected)
    slope = slope_of(summed_cross_entropy, logits, target, PLAIN)
    assert not slope[:, 0].any()
    assert slope.isfinite().all()


def test_what_is_ignored_adds_nothing_whatever_it_is():
    logits, target = example(1, 3, 4, 4, size=(4, 4))
    target[:, :2] = IGNORE
    logits[:, :, :2] = torch.nan
    assert summed_cross_entropy(logits, target, PLAIN).isfinite()


def test_what_is_allowed_elsewhere_is_back_when_the_last_thread_has_left():
    backend, before = torch.backends.cuda.matmul, torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        allowed = backend.fp32_precision
        with ExitStack() as first, ExitStack() as second:
            first.enter_context(kernel._full_precision)
            second.enter_context(kernel._full_precision)
            first.close()
            assert backend.fp32_precision == "ieee" != allowed
        assert backend.fp32_precision == allowed
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_are_in_full_precision_whatever_is_allowed(precision):
    logits, target = example(1, 5, 17, 17, size=(65, 65))
    single = logits.float()
    expected = slope_of(summed_cross_entropy, single, target, PLAIN)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast("cpu", torch.bfloat16):
            slope = slope_of(summed_cross_entropy, single, target, PLAIN)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(slope, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_is_the_same():
    logits, target = example(2, 7, 9, 9, size=(33, 40))
    single, terms = logits.float(), Terms(torch.linspace(0, 2, 7), IGNORE, 0.1)
    moved = Terms(terms.weight.cuda(), IGNORE, 0.1)
    there = slope_of(summed_cross_entropy, single.cuda(), target.cuda(), moved)
    torch.testing.assert_close(there.cpu(), slope_of(summed_cross_entropy, single, target, terms))
