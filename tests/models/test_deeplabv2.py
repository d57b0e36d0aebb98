import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.models import SegmentationModel, create_model
from atrous.models.deeplabv2 import DeepLabV2
from atrous.nn import ASPPv2, LargeFOV


def small(architecture: str, **keywords) -> SegmentationModel:
    torch.manual_seed(0)
    keywords = {"backbone": "test_resnet", "channels": 8} | keywords
    return create_model(architecture, num_classes=3, **keywords).eval()


def branch(weights: dict[str, Tensor], name: str, x: Tensor, rate: int) -> Tensor:
    """fc6, fc7 and fc8 of figure 7 (arXiv:1606.00915), from the weights."""

    def layer(number: int, x: Tensor, rate: int = 1) -> Tensor:
        weight, bias = (weights[f"{name}.fc{number}.{part}"] for part in ("weight", "bias"))
        padding = rate * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, bias, padding=padding, dilation=rate)

    return layer(8, layer(7, layer(6, x, rate).clamp(min=0)).clamp(min=0))


@torch.no_grad()
def test_v1_is_one_wide_kernel():
    model = small("deeplabv1")
    assert isinstance(model, DeepLabV2)
    assert isinstance(model.pyramid, LargeFOV)
    assert (model.output_stride, model.rates) == (8, (12,))  # arXiv:1412.7062, section 3
    image = torch.randn(2, 3, 65, 49)
    deep = model.backbone(image).deep
    expected = branch(model.pyramid.state_dict(), "layers", deep, 12)
    coarse = model.coarse_logits(image)
    assert coarse.shape == (2, 3, 9, 7)
    assert torch.allclose(coarse, expected, atol=1e-6)


@pytest.mark.parametrize("rates", [(6, 12, 18, 24), (2, 4, 8, 12)])
@torch.no_grad()
def test_v2_on_vgg16_sums_what_its_branches_say(rates):
    # arXiv:1606.00915, section 4.1.2: ASPP-L has the first rates, ASPP-S the second.
    model = small("deeplabv2", backbone="vgg16", rates=rates)
    assert (model.output_stride, model.rates) == (8, rates)
    image = torch.randn(1, 3, 65, 49)
    deep, weights = model.backbone(image).deep, model.pyramid.state_dict()
    branches = [branch(weights, f"branches.{k}", deep, rate) for k, rate in enumerate(rates)]
    expected = sum(branches)
    assert torch.allclose(model.coarse_logits(image), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_v2_on_a_resnet_has_single_layers():
    model = small("deeplabv2", channels=None)
    assert isinstance(model.pyramid, ASPPv2)
    weights = model.pyramid.state_dict()
    assert len(weights) == 8  # of each branch, a weight and a bias
    image = torch.randn(1, 3, 65, 49)
    deep = model.backbone(image).deep
    expected = sum(
        F.conv2d(
            deep,
            weights[f"branches.{k}.weight"],
            weights[f"branches.{k}.bias"],
            padding=rate,
            dilation=rate,
        )
        for k, rate in enumerate((6, 12, 18, 24))
    )
    assert torch.allclose(model.coarse_logits(image), expected, atol=1e-6)


def test_v2_on_vgg16_has_hidden_layers_of_the_papers_width():
    with torch.device("meta"):
        pyramid = ASPPv2(512, 21, channels=1024)
    model = create_model("deeplabv2", backbone="vgg16", num_classes=21)
    shapes = {name: tensor.shape for name, tensor in model.pyramid.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in pyramid.state_dict().items()}
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}


def test_v2_may_have_one_wide_kernel():
    model = small("deeplabv2", pyramid="large_fov")
    assert isinstance(model.pyramid, LargeFOV)
    assert model.rates == (12,)


@torch.no_grad()
def test_the_highest_logit_of_all_scales_wins():
    # arXiv:1606.00915, section 4.3.
    scales = (0.5, 0.75, 1.0)
    model, alone = small("deeplabv2", scales=scales), small("deeplabv2")
    alone.load_state_dict(model.state_dict())
    image = torch.randn(2, 3, 65, 49)
    sizes = [(32, 24), (48, 36), (65, 49)]  # rounded down
    resized = [F.interpolate(image, size, mode="bilinear") for size in sizes[:2]]
    maps = [alone.coarse_logits(x) for x in (*resized, image)]
    assert [tuple(x.shape[-2:]) for x in maps] == [(4, 3), (6, 5), (9, 7)]
    expected = maps[2]
    for coarse in maps[:2]:
        expected = torch.maximum(expected, F.interpolate(coarse, (9, 7), mode="bilinear"))
    fused = model.coarse_logits(image)
    assert torch.allclose(fused, expected, atol=1e-6)
    for single in maps:
        resized_map = F.interpolate(single, (9, 7), mode="bilinear")
        assert not torch.allclose(fused, resized_map)
        assert (fused >= resized_map - 1e-6).all()


@pytest.mark.parametrize("scales", [(2.0,), (0.5,), (1.5, 0.5)])
@torch.no_grad()
def test_the_finest_scale_gives_the_grid(scales):
    coarse = small("deeplabv1", scales=scales).coarse_logits(torch.randn(1, 3, 64, 48))
    assert coarse.shape[-2:] == (int(8 * max(scales)), int(6 * max(scales)))


@torch.no_grad()
def test_an_image_of_a_pixel_has_scales():
    model = small("deeplabv2", scales=(0.25, 1.0))
    assert model(torch.zeros(1, 3, 1, 1)).isfinite().all()
