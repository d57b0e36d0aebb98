import pytest
import torch
from transformers import (
    MobileNetV2Config,
    MobileNetV2ForSemanticSegmentation,
    MobileViTConfig,
    MobileViTForSemanticSegmentation,
)

from atrous.errors import DataError
from atrous.models import Preprocessing, create_model
from atrous.weights.peers import huggingface
from atrous.weights.peers.names import Hints

SIZES = ((65, 97), (64, 96), (51, 130))
XXS = {
    "hidden_sizes": [64, 80, 96],
    "neck_hidden_sizes": [16, 16, 24, 48, 64, 80, 320],
    "expand_ratio": 2.0,
}


def mobilenet_v2(**keywords):
    torch.manual_seed(0)
    return MobileNetV2ForSemanticSegmentation(MobileNetV2Config(num_labels=5, **keywords))


def mobilevit(**keywords):
    torch.manual_seed(0)
    config = MobileViTConfig(**{"num_labels": 5, "aspp_out_channels": 32} | XXS | keywords)
    return MobileViTForSemanticSegmentation(config)


def converted(theirs, **hints):
    keywords, state, dropped, preprocessing = huggingface.convert(
        theirs.state_dict(), Hints(**hints)
    )
    ours = create_model(**keywords)
    ours.load_state_dict(state)
    return ours.eval(), dropped, preprocessing


@pytest.mark.parametrize("depth_multiplier", [0.35, 1.0])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_logits_of_mobilenet_v2_are_the_same(
    randomised, assert_equal_logits, output_stride, depth_multiplier
):
    theirs = mobilenet_v2(output_stride=output_stride, depth_multiplier=depth_multiplier)
    randomised(theirs, torch.randn(4, 3, 64, 96))
    ours, dropped, preprocessing = converted(theirs, output_stride=output_stride)
    assert len(dropped) == 6
    assert set(dropped.values()) == {"it lies behind the map that DeepLab reads"}
    assert preprocessing == Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    assert ours.rates == ()
    for size in SIZES:
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours.coarse_logits(images), theirs(images).logits)


@pytest.mark.parametrize("width", ["small", "xx small"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_logits_of_mobilevit_are_the_same(randomised, assert_equal_logits, output_stride, width):
    default = MobileViTConfig()
    small = {name: getattr(default, name) for name in XXS} if width == "small" else {}
    theirs = mobilevit(output_stride=output_stride, **small)
    randomised(theirs, torch.randn(4, 3, 64, 96))
    ours, dropped, preprocessing = converted(theirs, output_stride=output_stride)
    assert not dropped
    for size in (*SIZES, (33, 321)):  # the last shows every rate
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert_equal_logits(ours.coarse_logits(images), theirs(images.flip(1)).logits)
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert torch.allclose(preprocessing(image).flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_other_rates_of_mobilevit_are_told(randomised, assert_equal_logits):
    theirs = mobilevit(output_stride=16, atrous_rates=[1, 2, 5])
    randomised(theirs, torch.randn(4, 3, 64, 96))
    ours, _, _ = converted(theirs, rates=(1, 2, 5))
    images = torch.randn(2, 3, 97, 129)
    with torch.no_grad():
        assert_equal_logits(ours.coarse_logits(images), theirs(images.flip(1)).logits)


def test_images_may_have_other_channels(randomised, assert_equal_logits):
    theirs = randomised(mobilenet_v2(num_channels=4), torch.randn(4, 4, 64, 96))
    ours, _, preprocessing = converted(theirs, output_stride=32)
    assert len(preprocessing.mean) == 4
    images = torch.randn(1, 4, 65, 65)
    with torch.no_grad():
        assert_equal_logits(ours.coarse_logits(images), theirs(images).logits)


def test_a_width_that_timm_has_not_is_refused():
    theirs = mobilenet_v2(depth_multiplier=0.6, finegrained_output=False)
    with pytest.raises(DataError, match="its deepest map has 192 channels; known are those of 112"):
        huggingface.convert(theirs.state_dict())


def test_it_knows_its_own():
    assert huggingface.recognises(mobilenet_v2().state_dict())
    assert huggingface.recognises(mobilevit().state_dict())
    ours = create_model("deeplabv3", backbone="mobilenetv2_035", num_classes=2)
    assert not huggingface.recognises(ours.state_dict())
