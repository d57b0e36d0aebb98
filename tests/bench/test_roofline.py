import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from atrous.bench.roofline import fastest_product, useful_multiply_adds


@given(
    height=st.integers(5, 12),
    width=st.integers(5, 12),
    rate=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 5),
    groups=st.sampled_from([1, 2]),
)
def test_useful_products_are_those_with_a_cell(height, width, rate, stride, padding, groups):
    if min(height, width) + 2 * padding <= 2 * rate:
        return
    conv = nn.Conv2d(
        4, 6, 3, dilation=rate, stride=stride, padding=padding, groups=groups, bias=False
    )
    every, useful = useful_multiply_adds(conv, (2, 4, height, width))
    # Ones convolved with ones count the taps that fall on a cell.
    nn.init.ones_(conv.weight)
    with torch.no_grad():
        counted = conv(torch.ones(2, 4, height, width))
    assert useful == int(counted.sum())
    assert every == counted.numel() * 4 // groups * 9


def test_padding_to_the_same_size_is_padding_too():
    conv = nn.Conv2d(1, 1, 3, dilation=2, padding="same", bias=False)
    assert useful_multiply_adds(conv, (1, 1, 6, 6))[1] == (6 + 4 + 4) ** 2


def test_what_is_no_convolution_counts_whole():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    assert useful_multiply_adds(network, (2, 3, 2, 2)) == (120, 120)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_product_knows_its_work(precision, dtype):
    product = fastest_product(precision, sides=[8, 16])
    assert product.left.dtype == product.right.dtype == dtype
    assert product.multiply_adds == product.times * len(product.left) ** 3
    assert product.times > 1
