import torch

from atrous.inspect.one_scale import one_scale
from atrous.models import create_model
from atrous.nn import ASPP


def test_it_computes_what_the_network_does_at_the_size_of_the_image():
    words = {"backbone": "test_resnet", "num_classes": 2, "rates": (1, 2)}
    several = create_model("deeplabv2", **words, scales=(0.5, 1.0)).eval()
    alone, images = one_scale(several), torch.rand(1, 3, 65, 65)
    assert several.blueprint.scales == (0.5, 1.0)
    with torch.no_grad():
        expected = several.classify(several.backbone(images))
        assert torch.equal(alone.coarse_logits(images), expected)


def test_others_stay_themselves():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2)
    pyramid = ASPP(8, 4, rates=(1,))
    assert one_scale(model) is model
    assert one_scale(pyramid) is pyramid
