import pytest
import torch
from torchvision.models import segmentation

from atrous.errors import DataError
from atrous.models import create_model
from atrous.nn.conv import resize
from atrous.weights.peers import torchvision

SIZES = ((65, 97), (71, 113), (33, 321))  # the last shows every rate
BUILDERS = {
    "deeplabv3_resnet50": segmentation.deeplabv3_resnet50,
    "deeplabv3_resnet101": segmentation.deeplabv3_resnet101,
    "deeplabv3_mobilenet_v3_large": segmentation.deeplabv3_mobilenet_v3_large,
    "lraspp_mobilenet_v3_large": segmentation.lraspp_mobilenet_v3_large,
}


@pytest.fixture
def peer(randomised):
    def build(name: str, **keywords):
        torch.manual_seed(0)
        keywords = {"num_classes": 21, "weights": None, "weights_backbone": None} | keywords
        return randomised(BUILDERS[name](**keywords), torch.randn(4, 3, 48, 64))

    return build


def converted(theirs):
    keywords, state, dropped, preprocessing = torchvision.convert(theirs.state_dict())
    assert not dropped
    assert preprocessing is None
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    return ours.eval()


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "lraspp_mobilenet_v3_large"])
def test_logits_and_auxiliary_logits_of_deeplab_are_the_same(peer, assert_equal_logits, name):
    theirs = peer(name, aux_loss=True)
    ours = converted(theirs)
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected = theirs(images)
            logits, auxiliary = ours.coarse_logits_and_auxiliary(images)
        assert_equal_logits(resize(logits, size), expected["out"])
        assert_equal_logits(resize(auxiliary, size), expected["aux"])


def test_logits_of_lraspp_are_the_same(peer, assert_equal_logits):
    theirs = peer("lraspp_mobilenet_v3_large")
    ours = converted(theirs)
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours(images), theirs(images)["out"])


@pytest.mark.parametrize("name", BUILDERS)
def test_the_weights_tell_the_number_of_classes(peer, assert_equal_logits, name):
    theirs = peer(name, num_classes=5)
    ours = converted(theirs)
    assert ours.blueprint.num_classes == 5
    assert ours.auxiliary is None
    images = torch.randn(2, 3, 65, 65)
    with torch.no_grad():
        assert_equal_logits(ours(images), theirs(images)["out"])


def test_a_tensor_without_a_place_is_told():
    theirs = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    with pytest.raises(DataError, match=r"1 tensors have no place in the network: extra.weight"):
        torchvision.convert(theirs.state_dict() | {"extra.weight": torch.zeros(1)})


def test_it_knows_its_own():
    theirs = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    assert torchvision.recognises(theirs.state_dict())
    ours = create_model("deeplabv3", backbone="resnet18", num_classes=2)
    assert not torchvision.recognises(ours.state_dict())
