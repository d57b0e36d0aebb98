import pytest
import torch

from atrous.fast.image_bias import FastASPP, FastWASP, Projection, with_image_bias
from atrous.nn import ASPP, DPC, WASP
from atrous.nn.conv import ConvNormAct
from tests.fast.conftest import settle


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "pyramid",
    [
        lambda: ASPP(6, 4, rates=(1, 2)),
        lambda: ASPP(6, 4, rates=(1, 2), bias=True, separable=True, num_classes=5),
        lambda: ASPP(6, 4, rates=(1, 2), shared_kernel=True),
        lambda: ASPP(6, 4, rates=()),
        lambda: WASP(6, 4, rates=(1, 2)),
    ],
)
def test_the_fused_map_is_the_same(pyramid, batch):
    torch.manual_seed(0)
    plain, x = settle(pyramid()), torch.randn(batch, 6, 7, 9)
    with torch.no_grad():
        fused = with_image_bias(plain)
        assert isinstance(fused, FastASPP | FastWASP)
        torch.testing.assert_close(fused(x), plain(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("image_first", [True, False])
def test_the_image_stands_where_it_stood(image_first):
    torch.manual_seed(0)
    project = settle(ConvNormAct(10, 4, bias=True))
    image, map = torch.randn(2, 3, 1, 1), torch.randn(2, 7, 4, 5)
    wide = image.expand(-1, -1, 4, 5)
    with torch.no_grad():
        expected = project(torch.cat([wide, map] if image_first else [map, wide], dim=1))
        fused = Projection(project, image_first=image_first, image_channels=3)([map], image)
    torch.testing.assert_close(fused, expected, atol=1e-5, rtol=1e-5)


def test_others_are_left_alone():
    wide = ASPP(6, 4, rates=(1,), projection_kernel=3)
    for pyramid in (wide, ASPP(6, 4, rates=(1,), image_pooling=False), DPC(6, 4)):
        assert with_image_bias(pyramid) is pyramid
