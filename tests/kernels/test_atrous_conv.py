import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.kernels import atrous_conv
from atrous.kernels.atrous_conv import (
    atrous_branches,
    has_kernel,
    pack_weights,
    plain_atrous_branches,
)
from atrous.kernels.tap_tiles import Kernel

POINT, WIDE = Kernel(1, 1, 1, 1), Kernel(3, 5, 2, 3)


def by_definition(x, weight, kernel):
    """y[i] = sum over k of x[i + r * k] w[k], cell by cell; weight (D, C, rows, columns)."""
    (batch, _, height, width), y = x.shape, 0
    y = x.new_zeros(batch, weight.shape[0], height, width)
    for row in range(kernel.rows):
        for column in range(kernel.columns):
            down = (row - kernel.rows // 2) * kernel.row_rate
            right = (column - kernel.columns // 2) * kernel.column_rate
            for i in range(max(0, -down), min(height, height - down)):
                for j in range(max(0, -right), min(width, width - right)):
                    y[..., i, j] += x[..., i + down, j + right] @ weight[..., row, column].mT
    return y


@given(
    shape=st.tuples(*(st.integers(1, top) for top in (2, 3, 6, 6))),
    rates=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    per_image=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_reference_is_the_definition(shape, rates, per_image, seed):
    torch.manual_seed(seed)
    kernels = [POINT, Kernel(3, 1, *rates), Kernel(3, 3, *rates)]
    x = torch.randn(shape, dtype=torch.double)
    weights = [torch.randn(2, shape[1], k.rows, k.columns, dtype=torch.double) for k in kernels]
    bias = torch.randn(shape[0] if per_image else 1, 6, dtype=torch.double)
    maps = [by_definition(x, *pair) for pair in zip(weights, kernels, strict=True)]
    expected = torch.cat(maps, dim=1) + bias[..., None, None]
    packed = pack_weights(weights)
    for relu in (False, True):
        y = plain_atrous_branches(x, packed, bias, kernels=kernels, relu=relu)
        assert (y - (expected.clamp(min=0) if relu else expected)).abs().max() < 1e-12
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_without_a_device_it_is_the_reference_and_learns():
    x, weight = torch.randn(2, 4, 5, 6), torch.randn(15, 4, 3, requires_grad=True)
    bias = torch.randn(1, 3)
    y = atrous_branches(x, weight, bias, kernels=[WIDE])
    assert torch.equal(y, plain_atrous_branches(x, weight, bias, kernels=[WIDE]))
    y.sum().backward()
    assert weight.grad.any()


@pytest.mark.parametrize(
    ("device", "dtype", "capability", "answer"),
    [
        ("cpu", torch.bfloat16, (9, 0), False),
        ("cuda", torch.float32, (9, 0), False),
        ("cuda", torch.bfloat16, (7, 5), False),
        ("cuda", torch.bfloat16, (9, 0), True),
        ("cuda", torch.float16, (8, 0), True),
    ],
)
def test_the_kernel_is_for_half_precision_on_cuda(monkeypatch, device, dtype, capability, answer):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(atrous_conv, "find_spec", lambda _: object())
    assert has_kernel(torch.device(device), dtype) is answer
    monkeypatch.setattr(atrous_conv, "find_spec", lambda _: None)
    assert has_kernel(torch.device(device), dtype) is False


def test_it_calls_the_kernel_where_there_is_one_unless_it_shall_learn(monkeypatch):
    monkeypatch.setattr(atrous_conv, "_is_half_on_cuda", lambda *_: True)
    called = []
    monkeypatch.setattr(atrous_conv, "_live_taps", lambda *_, **how: called.append(how))
    x, weight, bias = torch.randn(1, 4, 3, 3), torch.randn(16, 4, 2), torch.zeros(1, 4)
    atrous_branches(x, weight, bias, kernels=[POINT, WIDE], relu=False)
    assert called == [{"kernels": [1, 1, 1, 1, 3, 5, 2, 3], "relu": False}]
    atrous_branches(x, weight.requires_grad_(), bias, kernels=[POINT, WIDE])
    with torch.no_grad():
        atrous_branches(x, weight, bias, kernels=[POINT, WIDE])
    assert len(called) == 2


def test_without_triton_or_matrix_units_the_operation_is_the_reference(monkeypatch):
    monkeypatch.setattr(atrous_conv, "_is_half_on_cuda", lambda *_: True)
    monkeypatch.setattr(atrous_conv, "has_kernel", lambda *_: False)
    tensors = torch.randn(2, 4, 5, 6), torch.randn(16, 4, 8), torch.randn(2, 16)
    for relu in (False, True):
        how = {"kernels": [POINT, WIDE], "relu": relu}
        assert torch.equal(atrous_branches(*tensors, **how), plain_atrous_branches(*tensors, **how))


def test_who_traces_it_sees_one_operation(monkeypatch):
    monkeypatch.setattr(atrous_conv, "_is_half_on_cuda", lambda *_: True)
    tensors = [torch.empty(2, 4, 5, 6), torch.empty(16, 4, 8), torch.empty(1, 16)]
    y = atrous_branches(*(tensor.to("meta") for tensor in tensors), kernels=[POINT, WIDE])
    assert y.shape == (2, 16, 5, 6)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", [(2, 1, 1, 1), (3, 3, 0, 1), (3, 3, 1, -1)])
def test_kernels_have_a_centre_and_rates(kernel):
    with pytest.raises(ValueError, match="expected odd kernels, and rates from 1 up"):
        atrous_branches(
            torch.zeros(1, 1, 3, 3),
            torch.zeros(9, 1, 1),
            torch.zeros(1, 1),
            kernels=[Kernel(*kernel)],
        )


@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        ((2, 4, 3, 3), (15, 5, 2), (1, 2)),
        ((2, 4, 3, 3), (9, 4, 2), (1, 2)),
        ((2, 4, 3, 3), (15, 4, 2), (1, 3)),
        ((2, 4, 3, 3), (15, 4, 2), (3, 2)),
        ((2, 4, 3, 0), (15, 4, 2), (1, 2)),
        ((2, 4, 3), (15, 4, 2), (1, 2)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x, weight, bias):
    with pytest.raises(ValueError, match=r"expected x \(B, C, H, W\), weight \(T, C, D\)"):
        atrous_branches(torch.zeros(x), torch.zeros(weight), torch.zeros(bias), kernels=[WIDE])


def test_types_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"bfloat16, \(15, 4, 2\) torch.float32"):
        atrous_branches(
            torch.zeros(1, 4, 3, 3, dtype=torch.bfloat16),
            torch.zeros(15, 4, 2),
            torch.zeros(1, 2),
            kernels=[WIDE],
        )
