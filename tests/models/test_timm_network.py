import copy

import pytest
import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models.conventions import Conventions
from atrous.models.preprocessing import Preprocessing
from atrous.models.timm_network import (
    Stage,
    Tap,
    Taps,
    blocks_of,
    create_network,
    preprocessing_of,
    timm_options,
)
from atrous.nn import BatchNorm2d


@pytest.mark.parametrize(
    "name", ["test_resnet", "mobilenetv3_small_050", "convnext_atto", "densenet121"]
)
@torch.no_grad()
def test_its_stages_are_those_of_its_maps(name):
    network, stages = create_network(name)
    maps = network.eval()(torch.zeros(1, 3, 64, 96))
    assert [(64 // x.shape[-2], x.shape[1]) for x in maps] == [stage[:2] for stage in stages]
    assert [stage.stride for stage in stages][-4:] == [4, 8, 16, 32]


@torch.no_grad()
def test_images_may_have_other_channels():
    network, _ = create_network("test_resnet", in_channels=5)
    assert network.eval()(torch.zeros(1, 5, 32, 32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", r"'resnet5O' is unknown to timm; did you mean resnet50"),
        ("???", r"'\?\?\?' is unknown to timm; timm.list_models\(\) lists them"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name, message):
    with pytest.raises(UsageError, match=message):
        create_network(name)


def test_a_network_without_maps_is_refused(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("features_only not implemented")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UsageError, match="'resnet18' does not give feature maps in timm: features"):
        create_network("resnet18")


@pytest.mark.parametrize(
    ("name", "last", "number"),
    [
        ("resnet50", "layer4.2", 3),
        ("mobilenetv3_small_050", "blocks.5.0", 1),
        ("convnext_atto", "stages_3.blocks.1", 2),
        ("ghostnet_050", "blocks_7.0", 1),
    ],
)
def test_the_blocks_of_a_stage_have_names(name, last, number):
    network, stages = create_network(name)
    blocks = blocks_of(network, stages[-1])
    assert len(blocks) == number
    assert blocks[-1] == last
    assert all(network.get_submodule(block) for block in blocks)


def test_a_stage_may_have_no_blocks():
    network, (stem, *_) = create_network("test_resnet")
    assert blocks_of(network, stem) == []
    assert blocks_of(network, Stage(8, 3, "not.there")) == []


@pytest.mark.parametrize(
    ("name", "in_channels", "expected"),
    [
        ("resnet18", 3, Preprocessing()),
        ("efficientnet_lite0", 3, Preprocessing((0.5,) * 3, (0.5,) * 3)),
        ("efficientnet_lite0.ra_in1k", 3, Preprocessing()),
        ("resnet18", 2, Preprocessing((0.5,) * 2, (0.5,) * 2)),
        ("efficientnet_lite0", 1, Preprocessing((0.5,), (0.5,))),
    ],
)
def test_preprocessing_is_that_of_the_imagenet_weights(name, in_channels, expected):
    assert preprocessing_of(name, in_channels) == expected


def test_lite0_has_the_epsilon_its_weights_were_trained_with():
    assert timm_options("efficientnet_lite0") == {"bn_eps": 1e-3}
    assert timm_options("efficientnet_lite0.ra_in1k") == {}
    network, _ = create_network("efficientnet_lite0")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert {norm.eps for norm in norms} == {1e-3}


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(("eps", "expected"), [(None, 1e-5), (1e-3, 1e-3)])
def test_plain_batch_norms_become_those_of_atrous(eps, expected):
    network, _ = create_network("test_resnet", conventions=Conventions(norm_eps=eps))
    assert {type(norm) for norm in norms_of(network)} == {BatchNorm2d}
    assert {norm.eps for norm in norms_of(network)} == {expected}


def test_batch_norm_with_activation_trains_on_one_value():
    network, _ = create_network("densenet121")
    norm = next(norm for norm in norms_of(network) if isinstance(norm, BatchNormAct2d)).train()
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    norm.bias.data.fill_(0.25)
    number = norm.num_features
    x = torch.linspace(-3, 5, number).view(1, -1, 1, 1)
    expected = ((x - 1) / (4 + norm.eps) ** 0.5 + 0.25).clamp(min=0)
    assert torch.allclose(norm(x), expected)
    assert torch.equal(norm.running_mean, torch.full((number,), 1.0))
    plain = BatchNormAct2d(number).train()
    plain.load_state_dict(norm.state_dict())
    larger = torch.randn(2, number, 3, 3)
    assert torch.equal(norm(larger), plain(larger))
    assert torch.equal(norm.running_mean, plain.running_mean)


def test_a_resnet_may_stride_in_its_first_convolution():
    network, _ = create_network("resnet26", conventions=Conventions(stride_in_1x1=True))
    plain, _ = create_network("resnet26")
    for stage in (2, 3, 4):
        ours, theirs = (x.get_submodule(f"layer{stage}.0") for x in (network, plain))
        assert (ours.conv1.stride, ours.conv2.stride) == ((2, 2), (1, 1))
        assert (theirs.conv1.stride, theirs.conv2.stride) == ((1, 1), (2, 2))


def test_a_resnets_stem_may_keep_the_last_window():
    network, _ = create_network("resnet18", conventions=Conventions(ceil_stem=True))
    with torch.no_grad():
        maps = network.eval()(torch.zeros(1, 3, 64, 64))
    assert maps[1].shape[-2:] == (17, 17)


def test_a_network_without_a_pooling_in_its_stem_has_none_to_change():
    with pytest.raises(UsageError, match="'mobilenetv2_050' has no pooling in its stem; leave out"):
        create_network("mobilenetv2_050", conventions=Conventions(ceil_stem=True))


def test_a_network_may_pad_as_tensorflow_does():
    network, _ = create_network("mobilenetv2_050", conventions=Conventions(tf_padding=True))
    theirs = timm.create_model("mobilenetv2_050", features_only=True, pad_type="same").eval()
    theirs.load_state_dict(network.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network.eval()(image)[-1], theirs(image)[-1])


def test_a_network_may_pad_any_image_as_one_of_a_given_side():
    # A side of 100 makes maps of 50, 25, 13 and 7; the odd ones are padded on both sides.
    conventions = Conventions(tf_padding=True, tf_padding_side=100)
    network, _ = create_network("mobilenetv2_050", conventions=conventions)
    strided = [
        (type(module).__name__, module.padding)
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2)
    ]
    same, even = ("Conv2dSame", (0, 0)), ("Conv2d", (1, 1))
    assert strided == [same, same, even, even, even]


def test_a_network_may_end_with_a_convolution_of_its_classifier():
    network, stages = create_network("mobilenetv2_050", conventions=Conventions(last_conv=48))
    plain, plain_stages = create_network("mobilenetv2_050")
    assert stages == [*plain_stages[:-1], plain_stages[-1]._replace(channels=48)]
    plain.load_state_dict(network.state_dict(), strict=False)
    last, image = network.get_submodule("blocks.6.1"), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        *early, deep = network.eval()(image)
        *plain_early, plain_deep = plain.eval()(image)
        expected = last.bn1(F.conv2d(plain_deep, last.conv.weight))
    assert all(map(torch.equal, early, plain_early))
    assert torch.equal(deep, expected)
    assert 0 <= deep.min() < deep.max() <= 6


def test_a_network_may_end_without_one():
    network, stages = create_network("mobilevit_xxs", conventions=Conventions(last_conv=0))
    with torch.no_grad():
        deep = network.eval()(torch.zeros(1, 3, 64, 64))[-1]
    assert deep.shape == (1, stages[-1].channels, 2, 2)
    assert stages[-1].channels == 80


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 0), ("resnet18", 64)])
def test_the_last_convolution_of_others_is_not_known(name, channels):
    with pytest.raises(UsageError, match=f"last_conv {channels} is not known for a FeatureListNet"):
        create_network(name, conventions=Conventions(last_conv=channels))


def test_a_tap_keeps_an_output_and_a_copy_keeps_its_own():
    holder = nn.Module()
    holder.taps, holder.layer = Taps(), nn.ReLU()
    holder.layer.register_forward_hook(Tap(holder.taps, 8))
    twin = copy.deepcopy(holder)
    x = torch.tensor([-1.0, 2.0])
    twin.layer(x)
    assert holder.taps.take() == {}
    assert torch.equal(twin.taps.take()[8], F.relu(x))
    assert twin.taps.take() == {}
