import copy
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.models.backbone import Backbone
from atrous.models.conventions import Conventions
from atrous.models.preprocessing import Preprocessing

OUTPUT_STRIDES = (4, 8, 16, 32)
SIZES = [(1, 1), (3, 40), (31, 64), (33, 65)]


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


def photo(*size: int) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv2_050", "resnetblur18", "test_convnext", "vgg16"]
)
@torch.no_grad()
def test_maps_of_another_stride_are_the_same_ones_only_denser(name):
    # Sizes of 32k + 1 pixels, on which the grids of all strides begin and end together.
    image = photo(65, 97)
    own_stride = 8 if name == "vgg16" else 32
    backbone = with_random_statistics(Backbone(name, output_stride=own_stride))
    expected = backbone(image)
    for output_stride in (16, 4) if own_stride == 32 else (4,):
        backbone.set_output_stride(output_stride)
        assert backbone.inexact_layers == ()
        dense = backbone(image)
        step = own_stride // output_stride
        assert_close(dense.deep[..., ::step, ::step], expected.deep)
        for stride, coarse in expected.early.items():
            step = max(1, stride // output_stride)
            assert_close(dense.early[stride][..., ::step, ::step], coarse)


@torch.no_grad()
def test_a_network_that_timm_cannot_dilate_is_dilated():
    with pytest.raises((TypeError, AssertionError, NotImplementedError)):
        timm.create_model("ghostnet_050", features_only=True, output_stride=8)
    backbone = with_random_statistics(Backbone("ghostnet_050", output_stride=32))
    expected = backbone(photo(65, 97))
    backbone.set_output_stride(8)
    dense = backbone(photo(65, 97))
    assert_close(dense.early[8], expected.early[8])
    assert_close(dense.early[16][..., ::2, ::2], expected.early[16], most=0.05)  # it has means
    assert_close(dense.deep[..., ::4, ::4], expected.deep, most=0.05)


def assert_close(ours: torch.Tensor, expected: torch.Tensor, *, most: float = 1e-5) -> None:
    assert ours.shape == expected.shape
    assert expected.std() > 0
    assert (ours - expected).abs().max() < most * expected.abs().max()


@pytest.mark.parametrize("name", ["test_resnet", "edgenext_xx_small", "test_convnext", "vgg16"])
@torch.no_grad()
def test_maps_lie_on_the_grid_of_their_stride_whatever_the_size_of_the_image(name):
    backbone = Backbone(name, output_stride=4).eval()
    for output_stride in OUTPUT_STRIDES:
        if output_stride > backbone.own_stride:
            continue
        backbone.set_output_stride(output_stride)
        assert backbone.output_stride == output_stride
        for size in SIZES:
            early, deep = backbone(torch.randn(2, 3, *size))
            assert deep.shape == (2, backbone.channels, *cells(size, output_stride))
            for stride, channels in backbone.early_channels.items():
                at = min(stride, output_stride)
                assert early[stride].shape == (2, channels, *cells(size, at))
            assert deep.isfinite().all()


def cells(size: tuple[int, int], stride: int) -> tuple[int, ...]:
    return tuple(math.ceil(side / stride) for side in size)


@pytest.mark.parametrize("name", ["hrnet_w18_small", "inception_v3"])
@torch.no_grad()
def test_networks_that_cannot_be_dilated_have_maps_at_their_own_stride(name):
    # HRNet needs multiples of its strides, Inception pads nothing and so loses cells.
    backbone = Backbone(name, output_stride=32).eval()
    for size in SIZES:
        early, deep = backbone(torch.randn(1, 3, *size))
        for stride, x in {**early, 32: deep}.items():
            most = cells(size, stride)
            assert all(1 <= n <= m for n, m in zip(x.shape[-2:], most, strict=True))
            assert x.isfinite().all()


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("resnet18", 8),
        ("resnet18", 16),
        ("mobilenetv3_small_050", 16),
        ("test_convnext", 32),
        ("hrnet_w18_small", 32),
    ],
)
@torch.no_grad()
def test_it_is_timms_network(name, output_stride):
    backbone = with_random_statistics(Backbone(name, output_stride=output_stride))
    options = {} if output_stride == 32 else {"output_stride": output_stride}
    theirs = timm.create_model(name, features_only=True, **options).eval()
    theirs.load_state_dict(backbone.network.state_dict())
    image = torch.randn(2, 3, 96, 64)
    early, deep = backbone(image)
    maps = [*early.values(), deep]
    for ours, expected in zip(maps, theirs(image), strict=True):
        assert torch.equal(ours, expected)
    assert [x.shape[1] for x in maps] == [*backbone.early_channels.values(), backbone.channels]


@torch.no_grad()
def test_in_training_it_is_timms_network_too():
    ours = Backbone("efficientnet_lite0", output_stride=32)
    theirs = timm.create_model("efficientnet_lite0", features_only=True, bn_eps=1e-3)
    theirs.load_state_dict(ours.network.state_dict())
    image = torch.randn(2, 3, 65, 65)
    assert torch.equal(ours.train()(image).deep, theirs.train()(image)[-1])
    state = theirs.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in ours.network.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "test_convnext", "vgg16"])
@torch.no_grad()
def test_another_stride_and_back_gives_the_same_bits(name):
    backbone = with_random_statistics(Backbone(name, output_stride=8))
    image, state = photo(65, 49), backbone.state_dict()
    expected = backbone(image)
    for stride in OUTPUT_STRIDES if backbone.own_stride == 32 else (4, 8):
        backbone.set_output_stride(stride)
        backbone(image)
    backbone.set_output_stride(8)
    again = backbone(image)
    assert torch.equal(again.deep, expected.deep)
    assert all(torch.equal(again.early[stride], x) for stride, x in expected.early.items())
    assert all(torch.equal(state[name], x) for name, x in backbone.state_dict().items())


@torch.no_grad()
def test_a_stride_set_later_is_as_one_built_in():
    built = with_random_statistics(Backbone("resnet18", output_stride=8))
    changed = Backbone("resnet18", output_stride=32).eval()
    changed.load_state_dict(built.state_dict())
    changed.set_output_stride(8)
    assert torch.equal(built(photo(65, 49)).deep, changed(photo(65, 49)).deep)


@torch.no_grad()
def test_a_stride_that_is_refused_leaves_all_as_it_was():
    backbone = with_random_statistics(Backbone("hrnet_w18_small", output_stride=32))
    expected = backbone(photo(64, 64)).deep
    for stride in (16, 7, 64):
        with pytest.raises(UsageError):
            backbone.set_output_stride(stride)
        assert backbone.output_stride == 32
        assert torch.equal(backbone(photo(64, 64)).deep, expected)


def test_layers_that_mix_the_whole_map_are_named_where_it_is_denser():
    backbone = Backbone("mobilenetv3_small_050", output_stride=32)
    assert backbone.inexact_layers == ()
    backbone.set_output_stride(16)  # the last stage alone is denser
    assert backbone.inexact_layers
    assert all(name.startswith("blocks.4.") for name in backbone.inexact_layers)
    assert "blocks.4.0.se" in backbone.inexact_layers  # it reads what was strided before
    assert all(backbone.network.get_submodule(name) for name in backbone.inexact_layers)
    number = len(backbone.inexact_layers)
    backbone.set_output_stride(8)
    assert len(backbone.inexact_layers) > number
    backbone.set_output_stride(32)
    assert backbone.inexact_layers == ()
    assert Backbone("resnet18", output_stride=8).inexact_layers == ()


@torch.no_grad()
def test_a_copy_is_independent():
    backbone = with_random_statistics(Backbone("test_resnet", output_stride=16))
    expected = backbone(photo(65, 49)).deep
    twin = copy.deepcopy(backbone)
    assert torch.equal(twin(photo(65, 49)).deep, expected)
    twin.set_output_stride(8)
    for weight in twin.parameters():
        weight.fill_(0.1)
    assert backbone.output_stride == 16
    assert torch.equal(backbone(photo(65, 49)).deep, expected)


@torch.no_grad()
def test_the_taps_of_a_copy_are_its_own():
    conventions = Conventions(early_maps="first_block")
    backbone = with_random_statistics(Backbone("test_resnet", conventions=conventions))
    expected = backbone(photo(65, 49)).early
    twin = copy.deepcopy(backbone)
    for weight in twin.parameters():
        weight.fill_(0.1)
    theirs, ours = twin(photo(65, 49)).early, backbone(photo(65, 49)).early
    for stride, x in expected.items():
        assert torch.equal(ours[stride], x)
        assert not torch.equal(theirs[stride], x)


@torch.no_grad()
def test_early_maps_may_come_from_the_first_block_of_a_stage():
    last = with_random_statistics(Backbone("resnet18"))
    first = Backbone("resnet18", conventions=Conventions(early_maps="first_block")).eval()
    first.load_state_dict(last.state_dict())
    seen = {}
    for stage, stride in ((1, 4), (2, 8), (3, 16)):
        block = last.network.get_submodule(f"layer{stage}.0")
        block.register_forward_hook(lambda _, __, x, stride=stride: seen.update({stride: x}))
    expected, maps = last(photo(65, 49)), first(photo(65, 49))
    assert torch.equal(maps.deep, expected.deep)
    assert torch.equal(maps.early[2], expected.early[2])  # the stem has no blocks
    for stride, x in seen.items():
        assert torch.equal(maps.early[stride], x)
        assert not torch.equal(maps.early[stride], expected.early[stride])


@pytest.mark.parametrize(
    ("output_stride", "rates"), [(4, [8, 16, 32]), (8, [4, 8, 16]), (16, [2, 4, 8])]
)
def test_a_multi_grid_multiplies_the_rate_of_the_last_stage(output_stride, rates):
    # arXiv:1706.05587, section 3.2.1: units (1, 2, 4) at output stride 16 make 2, 4 and 8.
    backbone = Backbone("resnet50", output_stride=output_stride, multi_grid=(1, 2, 4))
    blocks = list(backbone.network.get_submodule("layer4"))
    assert [block.conv2.dilation for block in blocks] == [(rate, rate) for rate in rates]
    assert [block.conv2.padding for block in blocks] == [(rate, rate) for rate in rates]
    plain = Backbone("resnet50", output_stride=output_stride)
    third = [block.conv2.dilation for block in backbone.network.get_submodule("layer3")]
    assert third == [block.conv2.dilation for block in plain.network.get_submodule("layer3")]
    assert backbone.eval()(torch.zeros(1, 3, 65, 49)).deep.shape[-2:] == cells(
        (65, 49), output_stride
    )


@torch.no_grad()
def test_a_shortcut_can_lose_its_pooling_with_its_stride():
    conventions = Conventions(dense_means=False)
    backbone = Backbone("resnet26d", output_stride=16, conventions=conventions)
    third, fourth = (backbone.network.get_submodule(f"layer{k}.0.downsample.0") for k in (3, 4))
    maps = torch.randn(1, 8, 6, 6)
    assert torch.equal(third(maps), torch.nn.functional.avg_pool2d(maps, 2))
    assert torch.equal(fourth(maps), maps)


def test_a_multi_grid_keeps_its_reach_at_any_stride():
    backbone = with_random_statistics(Backbone("resnet18", output_stride=32, multi_grid=(1, 2)))
    plain = Backbone("resnet18", output_stride=32).eval()
    plain.load_state_dict(backbone.state_dict())
    image = photo(129, 97)
    expected = backbone(image).deep
    assert not torch.allclose(plain(image).deep, expected)
    backbone.set_output_stride(8)
    assert_close(backbone(image).deep[..., ::4, ::4], expected)


@pytest.mark.parametrize(
    ("name", "units", "message"),
    [
        ("resnet18", (1, 2, 4), "one unit rate for each of the 2 blocks of the last stage"),
        ("resnet18", (), "one unit rate for each of the 2 blocks of the last stage"),
        ("vgg16", (1,), "one unit rate for each of the 0 blocks of the last stage"),
        ("resnet18", (0, 1), r"\(0, 1\) makes a rate of 0"),
        ("resnet18", (1, 1.5), r"\(1, 1.5\) makes a rate of 1.5"),
    ],
)
def test_a_multi_grid_that_does_not_fit_the_blocks_is_refused(name, units, message):
    with pytest.raises(UsageError, match=rf"'{name}': multi_grid .*{message}"):
        Backbone(name, output_stride=8, multi_grid=units)


@pytest.mark.parametrize(("late", "first_rate"), [(False, 1), (True, 2)])
def test_the_layer_that_loses_its_stride_keeps_its_rate_unless_told_otherwise(late, first_rate):
    conventions = Conventions(dilate_first_block=late)
    backbone = Backbone("resnet18", output_stride=16, conventions=conventions)
    first, second = backbone.network.get_submodule("layer4")
    assert first.conv1.dilation == (first_rate, first_rate)
    assert first.conv2.dilation == second.conv1.dilation == second.conv2.dilation == (2, 2)
    backbone.set_output_stride(32)
    assert first.conv1.dilation == second.conv2.dilation == (1, 1)


def test_some_blocks_can_be_dilated_further():
    conventions = Conventions(extra_rates=(("layer3.1", 2),))
    backbone = Backbone("resnet18", output_stride=32, conventions=conventions)
    rates = {}
    for stride in (32, 16, 8):
        backbone.set_output_stride(stride)
        blocks = [*backbone.network.get_submodule("layer3"), backbone.network.layer4[1]]
        rates[stride] = [block.conv2.dilation[0] for block in blocks]
    assert rates == {32: [1, 2, 1], 16: [1, 2, 2], 8: [2, 4, 4]}


def test_some_modules_can_be_left_undilated():
    conventions = Conventions(undilated=("layer4.1",))
    backbone = Backbone("resnet18", output_stride=16, conventions=conventions)
    first, second = backbone.network.get_submodule("layer4")
    assert (first.conv2.dilation, second.conv2.dilation) == ((2, 2), (1, 1))


@torch.no_grad()
def test_layers_padded_as_in_tensorflow_can_pad_evenly():
    # timm, which dilates this one by itself, does so too.
    name, image = "tf_mobilenetv3_small_minimal_100", photo(64, 96)
    theirs = with_random_statistics(timm.create_model(name, features_only=True, output_stride=16))
    maps = {}
    for even in (False, True):
        conventions = Conventions(even_padding=even)
        backbone = Backbone(name, output_stride=16, conventions=conventions).eval()
        backbone.network.load_state_dict(theirs.state_dict())
        maps[even] = backbone(image).deep
    assert_close(maps[True], theirs(image)[-1])
    assert not torch.allclose(maps[False], maps[True], atol=1e-2)


def test_the_batch_norms_may_have_another_epsilon():
    backbone = Backbone("test_resnet", conventions=Conventions(norm_eps=0.25))
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {0.25}


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "resnest14d", "skresnet18"])
@pytest.mark.parametrize("size", [(1, 1), (33, 33)])
@torch.no_grad()
def test_one_value_per_channel_is_normalised_by_the_running_statistics(name, size):
    # resnest and skresnet have a batch norm behind a mean over the map, whatever its size.
    backbone = Backbone(name, output_stride=32).train()
    deep = backbone(torch.randn(1, 3, *size)).deep
    assert deep.isfinite().all()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.running_var.min() > 0.5 for norm in norms)  # none has run into a zero variance


@torch.no_grad()
def test_small_images_are_continued_at_their_border():
    backbone = Backbone("test_resnet", output_stride=32).eval()
    image = torch.randn(1, 3, 20, 40)
    larger = torch.cat([image, image[:, :, -1:].expand(-1, -1, 12, -1)], dim=2)
    assert torch.equal(backbone(image).deep, backbone(larger).deep)
    assert torch.equal(backbone(image).early[4], backbone(larger).early[4][:, :, :5])


@torch.no_grad()
def test_networks_that_drop_cells_read_images_continued_to_whole_ones():
    backbone = Backbone("test_convnext", output_stride=16).eval()
    image = torch.randn(1, 3, 64, 40)
    wider = torch.cat([image, image[..., -1:].expand(-1, -1, -1, 24)], dim=3)
    assert torch.equal(backbone(image).deep, backbone(wider).deep[..., :3])
    assert torch.equal(backbone(image).early[8], backbone(wider).early[8][..., :5])


def test_building_one_leaves_it_in_training_mode_and_draws_nothing_more():
    torch.manual_seed(0)
    backbone = Backbone("resnet18", output_stride=8)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    timm.create_model("resnet18", features_only=True)
    assert torch.equal(torch.rand(1), drawn)
    assert all(module.training for module in backbone.modules())
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)
    assert all(weight.device.type == "cpu" for weight in backbone.state_dict().values())


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet5", 16, r"'resnet5' is unknown to timm; did you mean resnet50"),
        ("resnet18", 64, r"has output_stride 32 of its own, got 64; use that or a smaller one"),
        ("resnet18", 2, r"'resnet18': output_stride must be 4, 8, 16 or 32, got 2"),
        ("resnet18", 12, r"'resnet18': output_stride must be 4, 8, 16 or 32, got 12"),
        ("vgg16", 16, r"'vgg16' has output_stride 8 of its own, got 16; use that or a smaller one"),
        ("convit_tiny", 16, r"'convit_tiny' does not give maps of growing stride"),
        ("inception_v3", 16, r"at output_stride 16: Mixed_7b calls avg_pool2d .* use a larger one"),
        (
            "hrnet_w18_small",
            16,
            r"output_stride 16: stage4\S* calls upsample_nearest2d at stride 32",
        ),
        ("crossvit_tiny_240", 32, r"has output_stride 17 of its own, got 32"),
        ("crossvit_tiny_240", 16, r"strides by \(12, 12\), not by one power of two"),
        ("swin_tiny_patch4_window7_224", 32, r"not take images of any size .*; use one that does"),
        ("mambaout_femto", 32, r"not take images of any size .*channels last"),
    ],
)
def test_networks_that_will_not_do_are_refused_with_a_cure(name, stride, message):
    with pytest.raises(UsageError, match=message) as caught:
        Backbone(name, output_stride=stride)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", Preprocessing()),
        ("vgg16", Preprocessing()),
        ("efficientnet_lite0", Preprocessing((0.5,) * 3, (0.5,) * 3)),
    ],
)
def test_preprocessing_is_that_of_the_imagenet_weights(name, expected):
    assert Backbone(name, output_stride=8).preprocessing == expected


@pytest.mark.parametrize("name", ["test_resnet", "vgg16"])
@torch.no_grad()
def test_images_may_have_other_channels(name):
    backbone = Backbone(name, output_stride=8, in_channels=5).eval()
    assert backbone(torch.zeros(1, 5, 33, 33)).deep.shape == (1, backbone.channels, 5, 5)
    assert backbone.preprocessing == Preprocessing((0.5,) * 5, (0.5,) * 5)


def test_threads_do_not_see_each_others_first_blocks():
    backbone = Backbone("resnet18", conventions=Conventions(early_maps="first_block")).eval()
    images = [torch.randn(1, 3, 129, 129) for _ in range(12)]
    with torch.no_grad():
        expected = [backbone(image).early[4] for image in images]
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda image: backbone(image).early[4], images))
    assert all(map(torch.equal, found, expected))
