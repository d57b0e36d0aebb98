import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from atrous.nn.atrous_conv import atrous_conv1d, atrous_conv2d, polyphase_atrous_conv2d

sides = st.integers(1, 11)
rates = st.integers(1, 14)
odd = st.sampled_from([1, 3, 5, 7])
seeds = st.integers(0, 999)
groups = st.integers(1, 3)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def looped_conv1d(x: np.ndarray, weight: np.ndarray, rate: int) -> np.ndarray:
    """y[i] = sum over taps k of x[i + rate * k] w[k], for x (C, L) and weight (D, C, K), K odd."""
    reach, length = weight.shape[-1] // 2, x.shape[-1]
    y = np.zeros((len(weight), length))
    for i in range(length):
        for k in range(-reach, reach + 1):
            if 0 <= i + rate * k < length:
                y[:, i] += weight[:, :, reach + k] @ x[:, i + rate * k]
    return y


@given(length=sides, rate=rates, kernel_size=odd, seed=seeds)
def test_on_a_line_it_is_the_definition(length, rate, kernel_size, seed):
    x, weight = random(2, 3, length, seed=seed), random(4, 3, kernel_size, seed=seed + 1)
    bias = random(4)
    expected = [looped_conv1d(line, weight.numpy(), rate) for line in x.numpy()]
    y = atrous_conv1d(x, weight, rate=rate)
    assert np.abs(y.numpy() - np.stack(expected)).max() < 1e-12
    biased = atrous_conv1d(x, weight, rate=rate, bias=bias)
    torch.testing.assert_close(biased, y + bias[:, None], atol=1e-12, rtol=0)


@given(height=sides, width=sides, rate=rates, kernel_size=odd, groups=groups, seed=seeds)
def test_on_a_map_it_is_the_definition(looped_conv, height, width, rate, kernel_size, groups, seed):
    x = random(1, 2 * groups, height, width, seed=seed)
    weight = random(groups, 2, kernel_size, kernel_size, seed=seed + 1)
    parts = zip(x[0].numpy().reshape(groups, 2, height, width), weight.numpy(), strict=True)
    expected = np.concatenate([looped_conv(part, kernel[None], rate) for part, kernel in parts])
    y = atrous_conv2d(x, weight, rate=rate, groups=groups)
    assert np.abs(y[0].numpy() - expected).max() < 1e-12


@given(height=sides, width=sides, down=rates, right=rates, tall=odd, wide=odd, seed=seeds)
def test_rows_and_columns_may_have_rates_of_their_own(height, width, down, right, tall, wide, seed):
    # A kernel that is a column times a row convolves along the columns, then along the rows.
    x = random(height, width, seed=seed)
    column, row = random(tall, seed=seed + 1), random(wide, seed=seed + 2)
    kernel = torch.outer(column, row)[None, None]
    y = atrous_conv2d(x[None, None], kernel, rate=(down, right))[0, 0].numpy()
    along = [looped_conv1d(line[None], row.numpy()[None, None], right)[0] for line in x.numpy()]
    lines = np.stack(along).T
    expected = [looped_conv1d(line[None], column.numpy()[None, None], down)[0] for line in lines]
    assert np.abs(y - np.stack(expected).T).max() < 1e-12


@given(
    shape=st.tuples(st.integers(1, 3), groups, sides, sides),
    rate=rates | st.tuples(rates, rates),
    kernel=st.tuples(odd, odd),
    with_bias=st.booleans(),
    seed=seeds,
)
def test_polyphase_is_the_same_value_and_gradient(shape, rate, kernel, with_bias, seed):
    batch, groups, *size = shape
    x = random(batch, 2 * groups, *size, seed=seed)
    weight = random(3 * groups, 2, *kernel, seed=seed + 1)
    inputs = [x, weight, *([random(3 * groups, seed=seed + 2)] if with_bias else [])]
    slope = random(batch, 3 * groups, *size, seed=seed + 3)
    results = []
    for convolve in (atrous_conv2d, polyphase_atrous_conv2d):
        x, weight, *bias = (tensor.clone().requires_grad_() for tensor in inputs)
        y = convolve(x, weight, rate=rate, bias=bias[0] if bias else None, groups=groups)
        results.append([y, *torch.autograd.grad(y, [x, weight, *bias], slope)])
    for expected, got in zip(*results, strict=True):
        assert got.shape == expected.shape
        assert (got - expected).abs().max() <= 1e-12 * max(1, expected.abs().max())


@pytest.mark.parametrize("convolve", [atrous_conv2d, polyphase_atrous_conv2d])
def test_the_gradient_is_that_of_the_function(convolve):
    x, weight = random(1, 2, 4, 5).requires_grad_(), random(2, 2, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, weight: convolve(x, weight, rate=(3, 2)), (x, weight))


@pytest.mark.parametrize("convolve", [atrous_conv2d, polyphase_atrous_conv2d])
def test_a_rate_beyond_the_map_leaves_the_centre_tap(convolve):
    x, weight = random(2, 3, 6, 9), random(4, 3, 3, 3, seed=1)
    centre = torch.einsum("bchw,dc->bdhw", x, weight[:, :, 1, 1])
    assert (convolve(x, weight, rate=9) - centre).abs().max() < 1e-12


@pytest.mark.parametrize("convolve", [atrous_conv2d, polyphase_atrous_conv2d])
def test_an_empty_batch_stays_empty(convolve):
    y = convolve(torch.zeros(0, 3, 5, 7), torch.zeros(4, 3, 3, 3), rate=2)
    assert y.shape == (0, 4, 5, 7)


@pytest.mark.parametrize("rate", [0, -2, (0, 3), (3, 0)])
@pytest.mark.parametrize("convolve", [atrous_conv2d, polyphase_atrous_conv2d])
def test_a_rate_below_one_is_refused(convolve, rate):
    with pytest.raises(ValueError, match=r"rate needs whole numbers from 1 up, got -?\d"):
        convolve(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 3, 3), rate=rate)


def test_on_a_line_too():
    with pytest.raises(ValueError, match="rate needs whole numbers from 1 up, got 0"):
        atrous_conv1d(torch.zeros(1, 1, 5), torch.zeros(1, 1, 3), rate=0)


@pytest.mark.parametrize("convolve", [atrous_conv2d, polyphase_atrous_conv2d])
def test_a_kernel_needs_a_centre(convolve):
    with pytest.raises(ValueError, match="use an odd kernel_size"):
        convolve(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 2, 3), rate=1)
