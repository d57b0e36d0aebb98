"""Maps at output stride 4, 8 and 16 hold those at 32, for families that others refuse to dilate."""

import re
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from atrous.nn import consistency_error, set_output_stride

PAGE = Path(__file__).parents[2] / "docs/output-stride.md"

# One small network of each family. Those that mix whole maps (squeeze-and-excitation, attention,
# group norm) are not here: what they mix changes with the density of the map.
FAMILIES = {
    "ResNet": "resnet18",
    "ResNet-D": "resnet18d",
    "ResNet, anti-aliased by averages": "resnetaa50",
    "ResNet, anti-aliased by blurring": "resnetblur18",
    "ResNet v2": "resnetv2_50",
    "ResNeXt": "resnext50_32x4d",
    "Wide ResNet": "wide_resnet50_2",
    "Res2Net": "res2net50_26w_4s",
    "NF-ResNet": "nf_resnet26",
    "VGG": "vgg11",
    "VGG with batch norm": "vgg11_bn",
    "DenseNet": "densenet121",
    "Dual path network": "dpn48b",
    "Xception": "legacy_xception",
    "Aligned Xception": "xception41",
    "Inception v4": "inception_v4",
    "ConvNeXt": "convnext_atto",
    "InceptionNeXt": "inception_next_atto",
    "MobileNet v1": "mobilenetv1_100",
    "MobileNet v2": "mobilenetv2_035",
    "MobileNet v3 minimal": "tf_mobilenetv3_small_minimal_100",
    "MobileNet v4": "mobilenetv4_conv_small_050",
    "EfficientNet-Lite": "efficientnet_lite0",
    "EfficientNet-Lite, padded as in TensorFlow": "tf_efficientnet_lite0",
    "EfficientNet-EdgeTPU": "efficientnet_es",
    "MnasNet": "mnasnet_100",
    "FBNet": "fbnetc_100",
    "Single-Path NAS": "spnasnet_100",
    "RegNetX": "regnetx_002",
    "RepVGG": "repvgg_a0",
    "MobileOne": "mobileone_s0",
    "DarkNet": "darknet17",
    "CSPNet": "cspresnet50",
    "CS3DarkNet": "cs3darknet_s",
    "DLA": "dla34",
    "GENet": "gernet_s",
    "HGNet v2": "hgnetv2_b0",
    "SelecSLS": "selecsls42",
    "StarNet": "starnet_s1",
    "VoVNet": "vovnet39a",
    "FastViT without attention": "fastvit_t8",
}


def network_of(name: str) -> nn.Module:
    """A network with numbers in its batch norms, so that what stands where shows."""
    torch.manual_seed(0)
    network = timm.create_model(name, features_only=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def measure(family: str) -> dict[int, float]:
    network = network_of(FAMILIES[family])
    # Inception v4 pads nothing, and leaves no cell of a smaller image.
    size = (96, 128) if family == "Inception v4" else (64, 96)
    return {stride: consistency_error(network, stride, size=size) for stride in (16, 8, 4)}


@pytest.mark.parametrize("family", FAMILIES)
def test_dense_maps_hold_the_coarse_one(family):
    errors = measure(family)
    assert max(errors.values()) < 1e-4, errors


def test_at_least_25_families_are_held_to_it():
    assert len(set(FAMILIES.values())) == len(FAMILIES) >= 25
    assert {"VGG", "DenseNet", "Xception", "ConvNeXt"} <= set(FAMILIES)


def test_the_documentation_lists_those_tested():
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \| \d", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert dict(rows) == FAMILIES


def test_the_rate_of_the_first_block_is_what_makes_it_so():
    network = network_of("resnet18").eval()
    image = torch.randn(1, 3, 65, 97)
    set_output_stride(network, 32)
    coarse = network(image)[-1]
    set_output_stride(network, 16, dilate_first_block=True)
    difference = network(image)[-1][..., ::2, ::2] - coarse
    assert difference.abs().max() > 0.01 * coarse.abs().max()


def test_what_cannot_be_consistent_is_named():
    network = network_of("seresnet50")
    assert set_output_stride(network, 32) == ()
    names = set_output_stride(network, 16)
    assert names
    assert all(".se" in name for name in names)
    assert consistency_error(network, 16, size=(64, 96)) > 1e-3
