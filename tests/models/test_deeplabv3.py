import torch
from torch import nn

from atrous.models import create_model
from atrous.models.deeplabv3 import DeepLabV3


def test_it_is_backbone_pyramid_and_classifier():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=5, separable=True).eval()
    assert isinstance(model, DeepLabV3)
    image = torch.randn(2, 3, 65, 65)
    deep = model.backbone(image).deep
    assert torch.equal(model.coarse_logits(image), model.classifier(model.pyramid(deep)))
    assert model.pyramid.out_channels == 256  # arXiv:1706.05587, section 3.3
    assert model.pyramid.atrous[0][0].groups == deep.shape[1]


def test_dropout_is_that_of_the_blueprint():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=5, dropout=0.3)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout) and m.p] == [0.3]
