"""The number of parameters of each network, against the number that its source gives."""

import pytest
import torch
import torchvision.models.segmentation as theirs
from torch import nn

from atrous.models import create_model
from atrous.nn import ASPP
from atrous.weights.peers.torchvision import MOBILENET, RESNET

DEEPLAB = {"architecture": "deeplabv3", "aux_head": True}  # torchvision counts the auxiliary head
RESNETS = {"conventions": RESNET, "output_stride": 8}
MOBILENETS = {"backbone": "mobilenetv3_large_100", "conventions": MOBILENET}


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("keywords", "number", "millions"),
    [
        ({"kernel_size": 7}, 134_346_581, 134.3),
        ({"kernel_size": 4}, 65_140_565, 65.1),
        ({"kernel_size": 4, "rates": (8,)}, 65_140_565, 65.1),
        ({}, 20_505_429, 20.5),
    ],
    ids=["7x7", "4x4", "4x4 at rate 8", "LargeFOV"],
)
def test_deeplab_v1(keywords, number, millions):
    # arXiv:1412.7062, table 2: VGG-16, 21 classes.
    model = create_model("deeplabv1", backbone="vgg16", num_classes=21, **keywords)
    assert count(model) == number
    assert round(number / 1e6, 1) == millions


def test_deeplab_v2_on_vgg16():
    # Not in arXiv:1606.00915: the convolutions of VGG-16, which v1 has too, and four branches.
    model = create_model("deeplabv2", backbone="vgg16", num_classes=21)
    branch = (512 * 9 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 21
    assert count(model) == 14_714_688 + 4 * branch


def test_the_taught_aspp():
    # ASPP as it is taught: rates (6, 12, 18), 512 channels in, 19 classes, biases everywhere.
    aspp = ASPP(512, 256, rates=(6, 12, 18), num_classes=19, bias=True)
    assert count(aspp) == 4_138_259


@pytest.mark.parametrize(
    ("weights", "keywords"),
    [
        (theirs.DeepLabV3_ResNet50_Weights, {**DEEPLAB, "backbone": "resnet50", **RESNETS}),
        (theirs.DeepLabV3_ResNet101_Weights, {**DEEPLAB, "backbone": "resnet101", **RESNETS}),
        (theirs.DeepLabV3_MobileNet_V3_Large_Weights, {**DEEPLAB, **MOBILENETS}),
        (theirs.LRASPP_MobileNet_V3_Large_Weights, {"architecture": "lraspp", **MOBILENETS}),
    ],
    ids=["ResNet-50", "ResNet-101", "MobileNetV3", "LR-ASPP"],
)
def test_torchvisions_networks(weights, keywords):
    published = weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]
    assert count(create_model(num_classes=21, **keywords)) == published


def test_neither_stride_nor_rates_cost_parameters():
    # arXiv:1706.05587, section 3.1: denser maps with the weights that there are.
    keywords = {"backbone": "test_resnet", "num_classes": 21}
    coarse = create_model("deeplabv3", **keywords, output_stride=32)
    dense = create_model("deeplabv3", **keywords, output_stride=8, rates=(1, 2, 3))
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (coarse, dense)]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        assert dense.eval()(torch.zeros(1, 3, 33, 33)).shape == (1, 21, 33, 33)
