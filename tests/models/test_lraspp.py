import pytest
import torch
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models import create_model
from atrous.models.lraspp import LRASPP


@torch.no_grad()
def test_it_is_figure_10():
    # arXiv:1905.02244: both maps classified, the deep one behind a gate.
    torch.manual_seed(0)
    model = create_model("lraspp", backbone="test_resnet", num_classes=5).eval()
    assert isinstance(model, LRASPP)
    assert (model.output_stride, model.rates, model.blueprint.dropout) == (16, (), 0)
    image = torch.randn(2, 3, 65, 49)
    early, deep = model.backbone(image)
    weights = model.pyramid.state_dict()
    point = F.conv2d(deep, weights["point.0.weight"]) / (1 + 1e-5) ** 0.5
    gate = F.conv2d(deep.mean(dim=(2, 3), keepdim=True), weights["gate.1.weight"]).sigmoid()
    gated = F.interpolate(point.clamp(min=0) * gate, (9, 7), mode="bilinear")
    expected = sum(
        F.conv2d(x, weights[f"{name}_classifier.weight"], weights[f"{name}_classifier.bias"])
        for name, x in (("deep", gated), ("low", early[8]))
    )
    assert torch.allclose(model.coarse_logits(image), expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "width"), [(None, 128), (16, 16)])
def test_its_width_is_that_of_the_blueprint(channels, width):
    model = create_model("lraspp", backbone="test_resnet", num_classes=2, channels=channels)
    assert model.pyramid.deep_classifier.in_channels == width


@torch.no_grad()
def test_its_stride_can_change_without_rates():
    model = create_model("lraspp", backbone="test_resnet", num_classes=2).eval()
    image = torch.randn(1, 3, 65, 49)
    expected = model(image)
    for stride, size in ((32, (9, 7)), (8, (9, 7)), (4, (17, 13)), (16, (9, 7))):
        model.set_output_stride(stride)
        assert (model.output_stride, model.blueprint.output_stride) == (stride, stride)
        assert model.rates == ()
        assert model.coarse_logits(image).shape[-2:] == size
    assert torch.equal(model(image), expected)


def test_a_backbone_without_a_map_of_stride_8_is_refused(without_maps_of):
    without_maps_of(8)
    with pytest.raises(UsageError, match=r"'test_resnet' has no map of stride 8 for lraspp; use"):
        create_model("lraspp", backbone="test_resnet", num_classes=2)
    assert create_model("deeplabv3plus", backbone="test_resnet", num_classes=2)
