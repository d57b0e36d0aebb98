import sys

import pytest
import torch

from atrous.models import Conventions, create_model
from atrous.weights.peer_networks import described, encoder_name, library_network
from atrous.weights.peers import smp
from atrous.weights.peers.names import NO_HINTS, Hints


def blueprint(architecture="deeplabv3plus", backbone="resnet18", **keywords):
    keywords = {"num_classes": 3, "output_stride": 16, "conventions": smp.CONVENTIONS} | keywords
    with torch.device("meta"):
        return create_model(architecture, backbone=backbone, **keywords).blueprint


@pytest.mark.parametrize(
    ("architecture", "backbone"),
    [
        ("deeplabv3", "resnet50"),
        ("deeplabv3", "mobilenetv3_large_100"),
        ("lraspp", "mobilenetv3_large_100"),
    ],
)
def test_torchvisions_own(architecture, backbone):
    with torch.device("meta"):
        network = library_network("torchvision", blueprint(architecture, backbone), NO_HINTS)
    classifiers = [key for key in network.state_dict() if key.endswith("classifier.weight")]
    assert classifiers or network.classifier[4].out_channels == 3
    assert getattr(network, "aux_classifier", None) is None


@pytest.mark.parametrize("aux_head", [True, False])
def test_torchvisions_auxiliary_head(aux_head):
    with torch.device("meta"):
        wanted = blueprint("deeplabv3", "resnet50", aux_head=aux_head)
        network = library_network("torchvision", wanted, NO_HINTS)
    assert (network.aux_classifier is not None) == aux_head


def test_what_torchvision_does_not_have():
    assert library_network("torchvision", blueprint("deeplabv3", "resnet18"), NO_HINTS) is None
    rates = Hints(rates=(6, 12, 18))
    assert library_network("torchvision", blueprint("deeplabv3", "resnet50"), rates) is None


def test_segmentation_models_pytorchs_own():
    wanted = blueprint(rates=(2, 4, 6), separable=True, channels=64, in_channels=4)
    with torch.device("meta"):
        network = library_network("smp", wanted, NO_HINTS)
    assert network.name == "deeplabv3plus-resnet18"
    assert network.encoder.output_stride == 16
    branch = network.decoder.aspp[0].convs[3][0][0]
    assert (branch.dilation, branch.groups) == ((6, 6), 512)
    assert network.segmentation_head[0].weight.shape == (3, 64, 1, 1)
    assert network.encoder.conv1.in_channels == 4


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("resnet34", "resnet34"),
        ("resnet34.tv_in1k", "resnet34"),
        ("resnext50_32x4d", "resnext50_32x4d"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("tf_efficientnet_b0", "efficientnet-b0"),
        ("efficientnet_b0", "timm-efficientnet-b0"),
        ("efficientnet_lite0", "timm-tf_efficientnet_lite0"),
    ],
)
def test_what_an_encoder_is_called_there(backbone, name):
    assert encoder_name(blueprint(backbone=backbone)) == name
    assert (
        encoder_name(blueprint(backbone=backbone, conventions=Conventions()))
        == f"tu-{backbone.removesuffix('.tv_in1k')}"
    )


def test_a_backbone_that_smp_lacks():
    assert library_network("smp", blueprint(backbone="test_resnet"), NO_HINTS) is None


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    assert library_network("smp", blueprint(), NO_HINTS) is None


def test_other_libraries_have_none_here():
    assert library_network("vainf", blueprint(), NO_HINTS) is None


def test_the_version_is_told():
    assert described("smp").startswith("segmentation_models_pytorch 0.")
    assert described("torchvision").startswith("torchvision 0.")
