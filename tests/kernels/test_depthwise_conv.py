import pytest
import torch

from atrous.kernels.depthwise_conv import depthwise_conv2d, plain_depthwise_conv2d

WAYS = [
    # taps, stride, padding, dilation, rows and columns
    ((3, 3), (1, 1), (1, 1), (1, 1), (7, 9)),
    ((5, 5), (1, 1), (4, 4), (2, 2), (11, 8)),
    ((5, 5), (2, 2), (2, 2), (1, 1), (12, 9)),
    ((3, 3), (2, 2), (1, 1), (1, 1), (8, 11)),
    ((3, 3), (1, 1), (12, 12), (12, 12), (5, 7)),
    ((5, 5), (1, 1), (8, 8), (4, 4), (11, 14)),
    ((3, 3), (1, 1), (8, 0), (8, 3), (21, 17)),
    ((3, 3), (1, 1), (8, 9), (6, 9), (21, 17)),
    ((3, 5), (2, 1), (0, 3), (1, 2), (10, 13)),
    ((1, 1), (3, 2), (0, 0), (1, 1), (8, 8)),
]


def trained(conv, *tensors, **geometry):
    """Return the output and the gradients of a way; the output's are numbers of bfloat16."""
    leaves = [one.detach().clone().requires_grad_() for one in tensors]
    y = conv(*leaves, **geometry)
    torch.manual_seed(1)
    y.backward(torch.randn(y.shape).bfloat16().to(y.dtype))
    return (y.detach(), *(leaf.grad for leaf in leaves))


def both(*tensors, **geometry):
    return [
        trained(conv, *tensors, **geometry) for conv in (plain_depthwise_conv2d, depthwise_conv2d)
    ]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("taps", "stride", "padding", "dilation", "size"), WAYS)
def test_values_and_gradients_are_those_of_torch(taps, stride, padding, dilation, size, layout):
    torch.manual_seed(0)
    x = torch.randn(3, 37, *size).to(memory_format=layout)
    weight, bias = torch.randn(37, 1, *taps), torch.randn(37)
    plain, fast = both(x, weight, bias, stride=stride, padding=padding, dilation=dilation)
    for expected, found in zip(plain, fast, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_large_planes_go_few_at_a_time():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 390, 410), torch.randn(3, 1, 3, 3)
    for expected, found in zip(*both(x, weight, padding=(1, 1)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_bfloat16_sums_are_kept_in_float32():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 8, 20, 24).bfloat16(), torch.randn(8, 1, 5, 5).bfloat16().float()
    exact = trained(plain_depthwise_conv2d, x.float(), weight, padding=(2, 2))
    y, of_input, of_weight = trained(depthwise_conv2d, x, weight, padding=(2, 2))
    assert y.dtype == of_input.dtype == torch.bfloat16
    torch.testing.assert_close(of_input.float(), exact[1], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(of_weight, exact[2], rtol=1e-5, atol=1e-4)


def test_autocast_brings_the_input_to_its_type():
    x, weight = torch.randn(1, 4, 9, 9, requires_grad=True), torch.randn(4, 1, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = depthwise_conv2d(x, weight.requires_grad_(), padding=(2, 2), dilation=(2, 2))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


def test_gradients_do_not_hang_on_the_number_of_threads():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 70, 12, 12), torch.randn(70, 1, 3, 3)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(both(x, weight, padding=(1, 1))[1][2])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_no_gradient_is_kept_where_none_is_asked_for():
    x, weight = torch.randn(1, 2, 9, 9), torch.randn(2, 1, 3, 3, requires_grad=True)
    with torch.no_grad():
        y = depthwise_conv2d(x, weight, padding=(8, 8), dilation=(8, 8))
    assert not y.requires_grad
    expected = plain_depthwise_conv2d(x, weight, padding=(8, 8), dilation=(8, 8))
    torch.testing.assert_close(y, expected.detach())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_types_are_left_to_torch(dtype):
    x = torch.randn(1, 2, 6, 6, dtype=dtype, requires_grad=True)
    y = depthwise_conv2d(x, torch.ones(2, 1, 3, 3, dtype=dtype))
    assert y.grad_fn is not None
    assert y.grad_fn.name() == "ConvolutionBackward0"


def test_padding_beyond_the_kernels_reach_is_left_to_torch():
    x, weight = torch.randn(1, 2, 6, 6), torch.randn(2, 1, 3, 3)
    for expected, found in zip(*both(x, weight, padding=(3, 3)), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_nan_reaches_the_gradients_of_its_taps_only():
    x, weight = torch.zeros(1, 2, 5, 5), torch.randn(2, 1, 3, 3)
    x[0, 0, 0, 0] = torch.nan
    (_, _, expected), (_, _, found) = both(x, weight, padding=(1, 1))
    assert torch.equal(found.isnan()[1], expected.isnan()[1])
    assert found[0].isnan().any()
