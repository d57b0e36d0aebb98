import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models import create_model
from atrous.models.deeplabv3plus import DeepLabV3Plus


@torch.no_grad()
def test_it_is_backbone_pyramid_decoder_and_classifier():
    model = create_model("deeplabv3plus", backbone="test_resnet", num_classes=5).eval()
    assert isinstance(model, DeepLabV3Plus)
    image = torch.randn(2, 3, 65, 65)
    features = model.backbone(image)
    decoded = model.decoder(model.pyramid(features.deep), features.early[4])
    expected = F.conv2d(decoded, model.classifier.weight, model.classifier.bias)
    assert torch.equal(model.coarse_logits(image), expected)
    assert decoded.shape == (2, 256, 17, 17)  # the grid of stride 4
    assert model.decoder.reduce[0].out_channels == 48  # arXiv:1802.02611, table 1


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
@torch.no_grad()
def test_its_logits_have_stride_4_at_any_output_stride(output_stride):
    model = create_model(
        "deeplabv3plus", backbone="test_resnet", num_classes=2, output_stride=output_stride
    ).eval()
    assert model.coarse_logits(torch.zeros(1, 3, 65, 49)).shape[-2:] == (17, 13)


@pytest.mark.parametrize(
    ("separable", "separable_decoder", "expected"),
    [
        (False, None, (False, False)),
        (True, None, (True, True)),
        (False, True, (False, True)),
        (True, False, (True, False)),
    ],
)
def test_pyramid_and_decoder_can_be_separable_each(separable, separable_decoder, expected):
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        num_classes=2,
        separable=separable,
        separable_decoder=separable_decoder,
    )
    assert (_separable(model.pyramid.atrous), _separable(model.decoder.refine)) == expected


def _separable(part: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in part.modules())


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_decoder_has_as_many_convolutions_as_the_conventions_say(number):
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        num_classes=2,
        conventions={"decoder_convs": number, "head_convs": 1, "align_corners": True},
    )
    assert len(model.decoder.refine) == number
    assert len(model.head) == 1
    assert model.decoder.align_corners


@torch.no_grad()
def test_align_corners_holds_for_every_resize():
    keywords = {"backbone": "test_resnet", "num_classes": 2, "channels": 8}
    edges = create_model("deeplabv3plus", **keywords).eval()
    corners = create_model("deeplabv3plus", **keywords, conventions={"align_corners": True}).eval()
    corners.load_state_dict(edges.state_dict())
    image = torch.randn(1, 3, 65, 49)
    features = corners.backbone(image)
    deep = F.interpolate(
        corners.pyramid(features.deep), (17, 13), mode="bilinear", align_corners=True
    )
    decoder = corners.decoder
    refined = decoder.refine(torch.cat([deep, decoder.reduce(features.early[4])], dim=1))
    coarse = corners.classifier(refined)
    assert torch.allclose(corners.coarse_logits(image), coarse, atol=1e-6)
    resized = F.interpolate(coarse, (65, 49), mode="bilinear", align_corners=True)
    assert torch.allclose(corners(image), resized, atol=1e-6)
    assert not torch.allclose(corners(image), edges(image))


def test_a_backbone_without_a_map_of_stride_4_is_refused(without_maps_of):
    without_maps_of(2, 4)
    with pytest.raises(UsageError, match=r"'test_resnet' has no map of stride 4 .* use deeplabv3"):
        create_model("deeplabv3plus", backbone="test_resnet", num_classes=2)
    assert create_model("deeplabv3", backbone="test_resnet", num_classes=2).rates == (6, 12, 18)
