import pytest
import segmentation_models_pytorch
import torch

from atrous.errors import DataError
from atrous.models import create_model
from atrous.weights.peers import smp
from atrous.weights.peers.names import Hints

ARCHITECTURES = {
    "deeplabv3": segmentation_models_pytorch.DeepLabV3,
    "deeplabv3plus": segmentation_models_pytorch.DeepLabV3Plus,
}
SIZES = ((64, 80), (32, 640))  # multiples of the output stride; the second shows every rate
both_architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture
def peer(randomised):
    def build(architecture: str, **keywords):
        torch.manual_seed(0)
        keywords = {"encoder_name": "resnet18", "encoder_weights": None, "classes": 5} | keywords
        images = torch.randn(4, keywords.get("in_channels", 3), 64, 96)
        return randomised(ARCHITECTURES[architecture](**keywords), images)

    return build


def converted(theirs, **hints):
    keywords, state, dropped, _ = smp.convert(theirs.state_dict(), Hints(**hints))
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    return ours.eval(), dropped


def compare(theirs, ours, assert_equal_logits) -> None:
    for size in SIZES:
        images = torch.randn(1, ours.blueprint.in_channels, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images))


@both_architectures
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("separable", [False, True])
def test_logits_are_the_same(peer, assert_equal_logits, architecture, output_stride, separable):
    theirs = peer(
        architecture, encoder_output_stride=output_stride, decoder_aspp_separable=separable
    )
    ours, dropped = converted(theirs, output_stride=output_stride)
    assert not dropped
    assert ours.blueprint.separable is separable
    assert ours.blueprint.architecture == architecture
    assert ours.rates == (12, 24, 36)
    compare(theirs, ours, assert_equal_logits)


@both_architectures
def test_the_output_stride_is_the_librarys_own_unless_told(peer, assert_equal_logits, architecture):
    theirs = peer(architecture)
    ours, _ = converted(theirs)
    assert ours.output_stride == {"deeplabv3": 8, "deeplabv3plus": 16}[architecture]
    compare(theirs, ours, assert_equal_logits)


@both_architectures
def test_rates_width_and_channels_may_be_others(peer, assert_equal_logits, architecture):
    theirs = peer(
        architecture, decoder_atrous_rates=(1, 3, 5), decoder_channels=32, in_channels=4, classes=2
    )
    ours, _ = converted(theirs, rates=(1, 3, 5))
    assert ours.rates == (1, 3, 5)
    compare(theirs, ours, assert_equal_logits)


def test_what_classifies_whole_images_is_dropped(peer):
    theirs = peer("deeplabv3plus", aux_params={"classes": 7})
    _, dropped = converted(theirs)
    assert dropped == {
        f"classification_head.3.{part}": "it classifies whole images" for part in ("weight", "bias")
    }


def test_names_of_old_releases_are_read(peer, assert_equal_logits):
    theirs = peer("deeplabv3")
    old = {
        "decoder.aspp.": "decoder.0.",
        "decoder.conv.": "decoder.1.",
        "decoder.bn.": "decoder.2.",
    }
    state = theirs.state_dict()
    for new_name, old_name in old.items():
        state = {key.replace(new_name, old_name): tensor for key, tensor in state.items()}
    assert smp.recognises(state)
    keywords, renamed, _, _ = smp.convert(state)
    ours = create_model(**keywords)
    ours.load_state_dict(renamed)
    compare(theirs, ours.eval(), assert_equal_logits)


def test_a_tensor_without_a_place_is_told(peer):
    state = peer("deeplabv3").state_dict() | {"decoder.extra.weight": torch.zeros(1)}
    with pytest.raises(DataError, match=r"1 tensors have no place in the network: decoder.extra"):
        smp.convert(state)


def test_it_knows_its_own():
    for build in ARCHITECTURES.values():
        assert smp.recognises(build("resnet18", encoder_weights=None).state_dict())
    unet = segmentation_models_pytorch.Unet("resnet18", encoder_weights=None)
    assert not smp.recognises(unet.state_dict())
