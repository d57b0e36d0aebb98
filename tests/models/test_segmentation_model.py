import copy
import math

import pytest
import torch
from torch.nn import functional as F

from atrous.data.palettes import default_palette
from atrous.errors import UsageError
from atrous.models import SegmentationModel, create_model, segmentation_model
from atrous.weights.model_file import read_model, save_model

CLASSES = ("sky", "road", "tree")


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    return create_model("deeplabv3", backbone="test_resnet", num_classes=3)


def test_logits_are_the_coarse_ones_resized(model):
    image = torch.randn(2, 3, 50, 70)
    coarse = model.eval().coarse_logits(image)
    assert coarse.shape == (2, 3, math.ceil(50 / 16), math.ceil(70 / 16))
    resized = F.interpolate(coarse, size=(50, 70), mode="bilinear", align_corners=False)
    assert torch.equal(model(image), resized)


def test_what_it_was_built_with_can_be_read(model):
    assert model.output_stride == model.blueprint.output_stride == 16
    assert model.rates == model.blueprint.rates == (6, 12, 18)
    assert model.classes == ("class 0", "class 1", "class 2")
    assert model.palette == default_palette(3)
    assert model.preprocessing == model.backbone.preprocessing


def test_classes_have_names_and_colours():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=3)
    model.name_classes(list(CLASSES), [[1, 2, 3], [4, 5, 6], [0, 255, 0]])
    assert model.classes == CLASSES
    assert model.palette == ((1, 2, 3), (4, 5, 6), (0, 255, 0))
    model.name_classes(CLASSES[::-1])
    assert model.classes == CLASSES[::-1]
    assert model.palette == default_palette(3)


@pytest.mark.parametrize(
    ("classes", "palette", "message"),
    [
        (CLASSES[:2], None, "has 3 classes, got 2 names and 2 colours"),
        (CLASSES, [(0, 0, 0)], "has 3 classes, got 3 names and 1 colours"),
        ((), None, "has 3 classes, got 0 names"),
        (("sky", "road", "sky"), None, "'sky' is used twice"),
        (CLASSES, [(0, 0, 0), (0, 0, 256), (1, 1, 1)], r"colour \(0, 0, 256\) is not"),
        (CLASSES, [(0, 0, 0), (0, -1, 0), (1, 1, 1)], r"colour \(0, -1, 0\) is not"),
        (CLASSES, [(0, 0, 0), (0, 0), (1, 1, 1)], r"colour \(0, 0\) is not"),
    ],
)
def test_names_and_colours_that_do_not_fit_are_refused(model, classes, palette, message):
    before = model.classes, model.palette
    with pytest.raises(UsageError, match=message):
        model.name_classes(classes, palette)
    assert (model.classes, model.palette) == before


def test_more_classes_than_default_colours():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=300)
    assert model.palette[:256] == default_palette(256)
    assert model.palette[256:] == default_palette(44)


PAPER_RATES_AT_8 = {
    "aspp": (12, 24, 36),
    "cascade": (8, 16, 32),
    "dense_aspp": (3, 6, 12, 18, 24),
    "wasp": (12, 24, 36, 48),
    "dpc": ((2, 12), (36, 30), (12, 6), (2, 2), (12, 42)),
}


@pytest.mark.parametrize("pyramid", PAPER_RATES_AT_8)
@torch.no_grad()
def test_another_output_stride_and_back_gives_the_same_bits(pyramid):
    torch.manual_seed(0)
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=3, pyramid=pyramid, output_stride=8
    ).eval()
    blueprint, image = model.blueprint, torch.randn(1, 3, 97, 65)
    expected, state = model(image), copy.deepcopy(model.state_dict())
    assert model.rates == model.pyramid.rates == PAPER_RATES_AT_8[pyramid]
    for stride in (4, 16, 32, 16):
        model.set_output_stride(stride)
        assert model.output_stride == model.blueprint.output_stride == stride
        assert model.rates == model.blueprint.rates == model.pyramid.rates
        deep = model.backbone(image).deep
        assert deep.shape[-2:] == (96 // stride + 1, 64 // stride + 1)
        assert not torch.equal(model(image), expected)
    model.set_output_stride(8)
    assert model.blueprint == blueprint
    assert model.pyramid.rates == PAPER_RATES_AT_8[pyramid]
    assert torch.equal(model(image), expected)
    assert all(torch.equal(state[name], x) for name, x in model.state_dict().items())


@pytest.mark.parametrize("built_at", [4, 8, 16, 32])
def test_rates_are_not_rounded_twice(built_at):
    # At 16 the paper's (3, 6, 12, 18, 24) for 8 are (2, 3, 6, 9, 12), and twice that is not they.
    model = create_model(
        "deeplabv3",
        backbone="test_resnet",
        num_classes=3,
        pyramid="dense_aspp",
        output_stride=built_at,
    )
    for stride, rates in (
        (16, (2, 3, 6, 9, 12)),
        (8, (3, 6, 12, 18, 24)),
        (32, (1, 2, 3, 4, 6)),
        (8, (3, 6, 12, 18, 24)),
    ):
        model.set_output_stride(stride)
        assert model.rates == model.pyramid.rates == rates
        assert [layer[1].rate for layer in model.pyramid.layers] == list(rates)


def test_chosen_rates_follow_from_where_they_were_chosen():
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=3, rates=(1, 5), output_stride=8
    )
    for stride, rates in ((32, (1, 1)), (16, (1, 2)), (4, (2, 10)), (8, (1, 5))):
        model.set_output_stride(stride)
        assert model.rates == model.pyramid.rates == rates


@pytest.mark.parametrize("pyramid", ["aspp", "dense_aspp"])
@torch.no_grad()
def test_a_model_saved_at_another_stride_is_read_at_it(tmp_path, pyramid):
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        num_classes=3,
        pyramid=pyramid,
        multi_grid=(2,),
        scales=(0.5, 1.0),
        aux_head=True,
    )
    model.eval().set_output_stride(8)
    again = read_model(save_model(model, tmp_path / "model.safetensors"))
    assert again.blueprint == model.blueprint
    image = torch.randn(2, 3, 65, 49)
    for stride in (8, 16, 32):
        for ours, theirs in zip(
            model.coarse_logits_and_auxiliary(image),
            again.coarse_logits_and_auxiliary(image),
            strict=True,
        ):
            assert torch.equal(ours, theirs)
        model.set_output_stride(stride)
        again.set_output_stride(stride)


@torch.no_grad()
def test_a_denser_map_has_the_same_values_where_both_have_some():
    torch.manual_seed(0)
    model = create_model("deeplabv1", backbone="test_resnet", num_classes=3, channels=8).eval()
    model.set_output_stride(16)
    image = torch.randn(1, 3, 97, 65)
    coarse = model.pyramid(model.backbone(image).deep)
    model.set_output_stride(8)
    dense = model.pyramid(model.backbone(image).deep)[..., ::2, ::2]
    assert dense.shape == coarse.shape
    assert (dense - coarse).abs().max() < 1e-5 * coarse.abs().max()


@pytest.mark.parametrize(
    ("trained", "stride", "side"),
    [(trained, stride, 256) for trained in (4, 8, 16, 32) for stride in (4, 8, 16, 32)]
    # The last cell of the training's stride reaches beyond the image.
    + [(16, 8, 264), (16, 4, 257), (32, 8, 250), (8, 4, 252)],
)
def test_what_a_cell_says_stays_in_its_place_at_every_stride(trained, stride, side):
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, output_stride=trained)

    def full_size():
        """Return the full-size map where each cell says where its kernels are centred."""
        step = model.output_stride
        column = torch.arange(0.0, side, step)
        cells = torch.stack(
            [column[:, None].expand(-1, len(column)), column.expand(len(column), -1)]
        )
        return model._resize(model.in_place(cells[None]), (side, side))[..., 64:-64, 64:-64]

    expected = full_size()
    model.set_output_stride(stride)
    torch.testing.assert_close(full_size(), expected)
    assert model.blueprint.trained_output_stride == (None if stride == trained else trained)


def test_with_aligned_corners_cells_stand_for_their_first_pixel():
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=2, conventions={"align_corners": True}
    )
    model.set_output_stride(8)
    deep = torch.randn(1, 2, 5, 7)
    assert model.in_place(deep) is deep


@pytest.mark.parametrize("architecture", ["deeplabv2", "deeplabv3", "deeplabv3plus", "lraspp"])
@torch.no_grad()
def test_every_network_puts_its_cells_in_place(architecture, monkeypatch):
    model = create_model(architecture, backbone="test_resnet", num_classes=2).eval()
    before, image = model.output_stride, torch.randn(1, 3, 65, 97)
    moves = []
    monkeypatch.setattr(
        segmentation_model, "moved", lambda x, cells, size: moves.append(cells) or x
    )
    model(image)
    model.set_output_stride(before // 2)
    model(image)
    assert moves == [0.5]


@pytest.mark.parametrize("stride", [0, 2, 12])
@torch.no_grad()
def test_other_strides_are_refused(stride):
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=3).eval()
    assert_refused(model, stride, f"output_stride must be 4, 8, 16 or 32, got {stride}")


@torch.no_grad()
def test_a_stride_beyond_the_backbones_is_refused():
    model = create_model("deeplabv1", backbone="vgg16", num_classes=3, channels=8).eval()
    assert_refused(model, 16, "'vgg16' has output_stride 8 of its own, got 16")


@torch.no_grad()
def test_a_stride_whose_rates_the_pyramid_cannot_have_is_refused():
    # The even kernel's rate 4 at stride 8 would be 1 at stride 32, where no padding is even.
    model = create_model(
        "deeplabv1", backbone="test_resnet", num_classes=3, channels=8, kernel_size=4
    ).eval()
    assert_refused(model, 32, "'large_fov': kernel_size 4 at rate 1 spans 4 cells")


def assert_refused(model: SegmentationModel, stride: int, message: str) -> None:
    """Nothing has changed when a stride is refused."""
    image, blueprint, rates = torch.randn(1, 3, 65, 49), model.blueprint, model.pyramid.rates
    expected = model(image)
    with pytest.raises(UsageError, match=message):
        model.set_output_stride(stride)
    assert model.output_stride == blueprint.output_stride
    assert (model.blueprint, model.pyramid.rates) == (blueprint, rates)
    assert torch.equal(model(image), expected)


@torch.no_grad()
def test_a_copy_has_a_stride_of_its_own():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=3).eval()
    image = torch.randn(1, 3, 65, 49)
    expected = model(image)
    twin = copy.deepcopy(model)
    twin.set_output_stride(8)
    assert (model.output_stride, model.rates, model.pyramid.rates) == (16, *2 * ((6, 12, 18),))
    assert torch.equal(model(image), expected)
    twin.set_output_stride(16)
    assert torch.equal(twin(image), expected)


@pytest.mark.parametrize(("aux_stride", "channels", "size"), [(16, 192, (5, 4)), (8, 48, (9, 7))])
@torch.no_grad()
def test_the_auxiliary_head_classifies_an_early_map(aux_stride, channels, size):
    model = create_model(
        "deeplabv3",
        backbone="test_resnet",
        num_classes=3,
        aux_head=True,
        conventions={"aux_stride": aux_stride},
    ).eval()
    assert model.auxiliary[0].spatial.weight.shape == (channels // 4, channels, 3, 3)
    image = torch.randn(2, 3, 65, 49)
    logits, auxiliary = model.coarse_logits_and_auxiliary(image)
    assert torch.equal(logits, model.coarse_logits(image))
    early = model.backbone(image).early[aux_stride]
    assert torch.equal(auxiliary, model.auxiliary(early))
    assert auxiliary.shape == (2, 3, *size)
    plain = create_model("deeplabv3", backbone="test_resnet", num_classes=3)
    assert plain.coarse_logits_and_auxiliary(image)[1] is None


@torch.no_grad()
def test_the_auxiliary_head_reads_the_largest_scale():
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=3, aux_head=True, scales=(1.0, 0.5)
    ).eval()
    image = torch.randn(1, 3, 65, 49)
    _, auxiliary = model.coarse_logits_and_auxiliary(image)
    assert torch.equal(auxiliary, model.auxiliary(model.backbone(image).early[16]))


def test_a_backbone_without_a_map_for_the_auxiliary_head_is_refused():
    with pytest.raises(UsageError, match=r"'vgg16' has no map of stride 16 for the auxiliary head"):
        create_model("deeplabv1", backbone="vgg16", num_classes=2, channels=8, aux_head=True)


@pytest.mark.parametrize("architecture", ["deeplabv1", "deeplabv3", "deeplabv3plus", "lraspp"])
@torch.no_grad()
def test_a_classifier_begins_without_preference(architecture):
    torch.manual_seed(0)
    model = create_model(architecture, backbone="test_resnet", num_classes=19, channels=64)
    logits = model(torch.randn(2, 3, 65, 65))
    first_loss = F.cross_entropy(logits, torch.randint(0, 19, (2, 65, 65))).item()
    assert first_loss == pytest.approx(math.log(19), rel=0.02)
