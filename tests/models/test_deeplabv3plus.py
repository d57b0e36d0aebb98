import functools

import pytest
import timm
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.models import create_model
from atrous.models.deeplabv3plus import DeepLabV3Plus


def test_it_is_backbone_pyramid_decoder_and_classifier():
    model = create_model("deeplabv3plus", backbone="test_resnet", num_classes=5).eval()
    assert isinstance(model, DeepLabV3Plus)
    image = torch.randn(2, 3, 65, 65)
    features = model.backbone(image)
    decoded = model.decoder(model.pyramid(features.deep), features.fine)
    assert torch.equal(model.coarse_logits(image), model.classifier(decoded))
    assert decoded.shape == (2, 256, 17, 17)  # the grid of stride 4
    assert model.decoder.reduce[0].out_channels == 48  # arXiv:1802.02611, table 1


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


def test_a_backbone_without_a_map_of_stride_4_is_refused(monkeypatch):
    deep_maps_only = functools.partial(timm.create_model, out_indices=(2, 3, 4))
    monkeypatch.setattr(timm, "create_model", deep_maps_only)
    with pytest.raises(UsageError, match=r"'resnet18' has no map of stride 4 .* use deeplabv3"):
        create_model("deeplabv3plus", backbone="resnet18", num_classes=2)
    assert create_model("deeplabv3", backbone="resnet18", num_classes=2).rates == (6, 12, 18)
