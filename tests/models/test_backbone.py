import functools
import math

import pytest
import timm
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.models.backbone import Backbone, timm_options
from atrous.models.preprocessing import Preprocessing
from atrous.nn import BatchNorm2d


def with_random_statistics(network: nn.Module) -> nn.Module:
    """Give every batch norm numbers, so that what stands where shows in the result."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "mobilenetv2_050"])
def test_maps_of_another_stride_are_the_same_ones_only_denser(name):
    # Sizes of 32k+1 pixels, on which the grids of all strides begin and end together.
    image = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    coarse = with_random_statistics(Backbone(name, output_stride=32))
    expected = coarse(image)
    for output_stride, step in ((16, 2), (8, 4)):
        dense = Backbone(name, output_stride=output_stride).eval()
        dense.load_state_dict(coarse.state_dict())
        fine, deep = dense(image)
        assert deep.shape[-2:] == (64 // output_stride + 1, 96 // output_stride + 1)
        difference = (deep[..., ::step, ::step] - expected.deep).abs().max()
        assert difference < 1e-5 * expected.deep.abs().max()
        assert torch.allclose(fine, expected.fine, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
def test_it_is_timms_network(name):
    backbone = with_random_statistics(Backbone(name, output_stride=16))
    theirs = timm.create_model(name, features_only=True, output_stride=16).eval()
    theirs.load_state_dict(backbone.network.state_dict())
    image = torch.randn(2, 3, 65, 97)
    maps = theirs(image)
    fine, deep = backbone(image)
    assert torch.equal(deep, maps[-1])
    assert any(torch.equal(fine, one) for one in maps if one.shape == fine.shape)
    assert deep.shape[1] == backbone.channels
    assert fine.shape[1] == backbone.low_level_channels


def test_in_training_it_is_timms_network_too():
    ours = Backbone("efficientnet_lite0", output_stride=32)
    theirs = timm.create_model("efficientnet_lite0", features_only=True, bn_eps=1e-3)
    theirs.load_state_dict(ours.network.state_dict())
    image = torch.randn(2, 3, 65, 65)
    assert torch.equal(ours.train()(image).deep, theirs.train()(image)[-1])
    state = theirs.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in ours.network.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "resnest14d", "skresnet18"])
@pytest.mark.parametrize("size", [(1, 1), (33, 33)])
def test_one_value_per_channel_is_normalised_by_the_running_statistics(name, size):
    # resnest and skresnet have a batch norm behind a mean over the map, whatever its size.
    backbone = Backbone(name, output_stride=32).train()
    deep = backbone(torch.randn(1, 3, *size)).deep
    assert deep.isfinite().all()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.running_var.min() > 0.5 for norm in norms)  # none has run into a zero variance


def test_plain_batch_norms_are_those_of_atrous():
    norms = [m for m in Backbone("resnet18").modules() if isinstance(m, nn.BatchNorm2d)]
    assert {type(norm) for norm in norms} == {BatchNorm2d}


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "hrnet_w18_small", "inception_v3"])
def test_images_of_any_size_have_maps(name):
    # ConvNeXt rounds down, HRNet needs multiples of its strides, Inception pads nothing.
    backbone = Backbone(name, output_stride=32).eval()
    for size in ((1, 1), (3, 40), (31, 64), (33, 65)):
        for cells, stride in zip(backbone(torch.randn(2, 3, *size)), (4, 32), strict=True):
            rows, columns = cells.shape[-2:]
            assert 1 <= rows <= math.ceil(size[0] / stride)
            assert 1 <= columns <= math.ceil(size[1] / stride)
            assert cells.isfinite().all()


def test_small_images_are_continued_at_their_border():
    backbone = Backbone("resnet18", output_stride=32).eval()
    image = torch.randn(1, 3, 20, 40)
    larger = torch.cat([image, image[:, :, -1:].expand(-1, -1, 12, -1)], dim=2)
    assert torch.equal(backbone(image).deep, backbone(larger).deep)
    assert torch.equal(backbone(image).fine, backbone(larger).fine[:, :, :5])


def test_building_one_leaves_it_in_training_mode_and_draws_nothing_more():
    torch.manual_seed(0)
    backbone = Backbone("resnet18")
    drawn = torch.rand(1)
    torch.manual_seed(0)
    timm.create_model("resnet18", features_only=True, output_stride=16)
    assert torch.equal(torch.rand(1), drawn)
    assert all(module.training for module in backbone.modules())
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet5", 16, r"'resnet5' is unknown to timm; did you mean resnet50"),
        ("???", 16, r"'\?\?\?' is unknown to timm; timm.list_models\(\) lists them"),
        ("ghostnet_050", 16, r"cannot be dilated to output_stride 16; its own is 32: use that, or"),
        ("edgenext_xx_small", 8, r"cannot be dilated to output_stride 8; its own is 32: use that"),
        ("resnet18", 4, r"cannot be dilated to output_stride 4; its own is 32: use that"),
        ("convit_tiny", 32, r"cannot be dilated to output_stride 32; its own is 16: use that"),
        ("crossvit_tiny_240", 32, r"to output_stride 32; its own is 17: use another backbone"),
        ("swin_tiny_patch4_window7_224", 32, r"not take images of any size .*; use one that does"),
        ("mambaout_femto", 32, r"not take images of any size .*channels last"),
    ],
)
def test_networks_that_will_not_do_are_refused_with_a_cure(name, stride, message):
    with pytest.raises(UsageError, match=message):
        Backbone(name, output_stride=stride)


def test_a_network_without_maps_is_refused(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("features_only not implemented")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UsageError, match="'resnet18' does not give feature maps in timm: features"):
        Backbone("resnet18")


@pytest.mark.parametrize("size", [(64, 64), (5, 5)])
def test_a_network_without_a_map_of_stride_4_has_no_fine_map(monkeypatch, size):
    deep_maps_only = functools.partial(timm.create_model, out_indices=(2, 3, 4))
    monkeypatch.setattr(timm, "create_model", deep_maps_only)
    backbone = Backbone("resnet18", output_stride=32)
    assert backbone.low_level_channels is None
    assert backbone(torch.zeros(1, 3, *size)).fine is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", Preprocessing()),
        ("efficientnet_lite0", Preprocessing((0.5,) * 3, (0.5,) * 3)),
        ("efficientnet_lite0.ra_in1k", Preprocessing()),
        ("mobilenetv3_small_050", Preprocessing()),
    ],
)
def test_preprocessing_is_that_of_the_imagenet_weights(name, expected):
    assert Backbone(name).preprocessing == expected


def test_images_may_have_other_channels():
    backbone = Backbone("resnet18", in_channels=5).eval()
    assert backbone(torch.zeros(1, 5, 33, 33)).deep.shape == (1, 512, 3, 3)
    assert backbone.preprocessing == Preprocessing((0.5,) * 5, (0.5,) * 5)


def test_lite0_has_the_epsilon_its_weights_were_trained_with():
    assert timm_options("efficientnet_lite0") == {"bn_eps": 1e-3}
    assert timm_options("efficientnet_lite0.ra_in1k") == {}
    norms = [m for m in Backbone("efficientnet_lite0").modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
