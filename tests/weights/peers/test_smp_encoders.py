import pytest
import segmentation_models_pytorch
import timm
import torch
from segmentation_models_pytorch.encoders import get_encoder

from atrous.errors import DataError
from atrous.models import Preprocessing, create_model
from atrous.weights.peers import smp, smp_encoders
from atrous.weights.peers.names import Hints

ARCHITECTURES = {
    "deeplabv3": segmentation_models_pytorch.DeepLabV3,
    "deeplabv3plus": segmentation_models_pytorch.DeepLabV3Plus,
}
ENCODERS = (
    ("resnet50", "deeplabv3plus", 8),
    ("resnext50_32x4d", "deeplabv3", 16),
    ("mobilenet_v2", "deeplabv3", 8),
    ("mobilenet_v2", "deeplabv3plus", 16),
    ("efficientnet-b0", "deeplabv3", 8),  # which dilates two blocks too much
    ("efficientnet-b0", "deeplabv3plus", 16),
    ("efficientnet-b2", "deeplabv3plus", 16),  # which pads maps of odd sides
    ("timm-efficientnet-b0", "deeplabv3", 8),
    ("timm-mobilenetv3_small_100", "deeplabv3plus", 16),
    ("tu-resnet18", "deeplabv3", 8),
    ("tu-tf_efficientnet_b0", "deeplabv3plus", 8),
    ("tu-efficientnet_lite0", "deeplabv3", 16),
    ("tu-regnety_002", "deeplabv3plus", 16),
)
NAMES = {
    "resnet34": "resnet34",
    "resnet101": "resnet101",
    "resnext101_32x8d": "resnext101_32x8d",
    "efficientnet-b1": "tf_efficientnet_b1",
    "efficientnet-b5": "tf_efficientnet_b5",
    "timm-efficientnet-b3": "efficientnet_b3",
    "timm-tf_efficientnet_lite1": "efficientnet_lite1",
    "mobilenet_v2": "mobilenetv2_100",
}
quiet = pytest.mark.filterwarnings("ignore:`timm-` encoders are deprecated:DeprecationWarning")


def tensors(name: str) -> dict:
    """What an encoder has, without numbers."""
    with torch.device("meta"):
        encoder = get_encoder(name)
    return {f"encoder.{key}": tensor for key, tensor in encoder.state_dict().items()}


@quiet
@pytest.mark.parametrize(("name", "architecture", "stride"), ENCODERS)
def test_logits_are_the_same(randomised, assert_equal_logits, name, architecture, stride):
    torch.manual_seed(0)
    theirs = ARCHITECTURES[architecture](
        name, encoder_weights=None, classes=5, encoder_output_stride=stride, decoder_channels=32
    )
    randomised(theirs, torch.randn(4, 3, 64, 96))
    keywords, state, _, _ = smp.convert(theirs.state_dict(), Hints(name, stride))
    ours = create_model(**keywords).eval()
    ours.load_state_dict(state)
    for size in ((64, 96), (112, 80)):
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images))


@quiet
@pytest.mark.parametrize(("name", "backbone"), NAMES.items())
def test_the_tensors_tell_the_encoder(name, backbone):
    found = smp_encoders.find_encoder(tensors(name), None)
    assert found.backbone == backbone
    assert timm.is_model(backbone)


@quiet
@pytest.mark.parametrize("name", ["timm-tf_efficientnet_lite0", "tu-tf_mobilenetv3_small_100"])
def test_networks_of_timm_may_expect_other_means(name):
    found = smp_encoders.find_encoder(tensors(name), name)
    assert found.preprocessing == Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)


def test_networks_of_timm_need_their_name():
    state = tensors("tu-resnet18")
    with pytest.raises(DataError, match="give its encoder_name"):
        smp_encoders.find_encoder(state, None)
    with pytest.raises(DataError, match="encoder 'tu-resnet17' is unknown to timm"):
        smp_encoders.find_encoder(state, "tu-resnet17")


def test_the_name_must_be_that_of_the_tensors():
    torch.manual_seed(0)
    state = segmentation_models_pytorch.DeepLabV3("tu-resnet18", encoder_weights=None).state_dict()
    for wrong in ("tu-resnet34", "tu-efficientnet_lite0"):
        with pytest.raises(DataError, match=f"the tensors are not those of {wrong}"):
            smp.convert(state, Hints(wrong))


def test_what_timm_dilates_in_a_way_of_its_own_is_refused():
    torch.manual_seed(0)
    theirs = segmentation_models_pytorch.DeepLabV3("tu-resnet26d", encoder_weights=None)
    with pytest.raises(DataError, match="encoder 'tu-resnet26d' cannot be converted"):
        smp.convert(theirs.state_dict(), Hints("tu-resnet26d"))


@pytest.mark.parametrize("name", ["densenet121", "vgg11", "mobileone_s0"])
def test_other_encoders_are_refused(name):
    with pytest.raises(DataError, match=f"encoder {name} of segmentation_models_pytorch is not"):
        smp_encoders.find_encoder(tensors(name), name)


@quiet
def test_other_depths_of_known_encoders_are_refused():
    resnet = tensors("resnet18") | {"encoder.layer3.2.conv1.weight": torch.zeros(1)}
    efficientnet = tensors("efficientnet-b0")
    efficientnet["encoder._blocks.16._project_conv.weight"] = torch.zeros(320, 1, 1, 1)
    light = tensors("timm-tf_efficientnet_lite0")
    light["encoder.blocks.6.1.conv_pwl.weight"] = torch.zeros(321, 1, 1, 1)
    old = {"encoder.conv_stem.weight": torch.zeros(16, 3, 3, 3)}  # of timm-mobilenetv3_* in 2021
    for state in (resnet, efficientnet, light, old):
        with pytest.raises(DataError, match=r"encoder with .* is not known"):
            smp_encoders.find_encoder(state, None)
