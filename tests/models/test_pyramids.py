import pytest

from atrous.models import Blueprint, create_model
from atrous.models.pyramids import PYRAMIDS, paper_rates
from atrous.nn import ASPP, DPC, WASP, ASPPv2, Cascade, DenseASPP, LargeFOV, Pyramid

KINDS = {
    "large_fov": LargeFOV,
    "aspp_v2": ASPPv2,
    "aspp": ASPP,
    "cascade": Cascade,
    "dense_aspp": DenseASPP,
    "wasp": WASP,
    "dpc": DPC,
}


def blueprint(pyramid: str, **keywords) -> Blueprint:
    numbers = {
        "architecture": "deeplabv3",
        "backbone": "resnet18",
        "num_classes": 3,
        "output_stride": 16,
        "pyramid": pyramid,
        "rates": paper_rates(pyramid, 16, keywords.get("kernel_size", 3)),
        "separable": False,
        "separable_decoder": False,
        "dropout": 0.1,
        "in_channels": 3,
    }
    return Blueprint.model_validate(numbers | keywords)


def build(pyramid: str, **keywords) -> Pyramid:
    return PYRAMIDS[pyramid].build(16, blueprint(pyramid, **keywords))


@pytest.mark.parametrize(
    ("pyramid", "at_4", "at_8", "at_16", "at_32"),
    [
        ("large_fov", (24,), (12,), (6,), (3,)),
        ("aspp_v2", (12, 24, 36, 48), (6, 12, 18, 24), (3, 6, 9, 12), (2, 3, 4, 6)),
        ("aspp", (24, 48, 72), (12, 24, 36), (6, 12, 18), (3, 6, 9)),
        ("cascade", (16, 32, 64), (8, 16, 32), (4, 8, 16), (2, 4, 8)),
        ("dense_aspp", (6, 12, 24, 36, 48), (3, 6, 12, 18, 24), (2, 3, 6, 9, 12), (1, 2, 3, 4, 6)),
        ("wasp", (24, 48, 72, 96), (12, 24, 36, 48), (6, 12, 18, 24), (3, 6, 9, 12)),
        (
            "dpc",
            ((4, 24), (72, 60), (24, 12), (4, 4), (24, 84)),
            ((2, 12), (36, 30), (12, 6), (2, 2), (12, 42)),
            ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21)),
            ((1, 3), (9, 8), (3, 2), (1, 1), (3, 10)),
        ),
        ("lr_aspp", (), (), (), ()),
    ],
)
def test_the_papers_rates_follow_the_output_stride(pyramid, at_4, at_8, at_16, at_32):
    rates = [paper_rates(pyramid, stride) for stride in (4, 8, 16, 32)]
    assert rates == [at_4, at_8, at_16, at_32]


@pytest.mark.parametrize(("kernel_size", "rate"), [(3, 12), (4, 4), (7, 4)])
def test_the_first_layer_of_vgg_has_rate_4(kernel_size, rate):
    # arXiv:1412.7062, table 2: 4x4 and 7x7 at rate 4, and LargeFOV's 3x3 at 12.
    assert paper_rates("large_fov", 8, kernel_size) == (rate,)


def test_other_strides_have_no_rates():
    with pytest.raises(ValueError, match="must be 4, 8, 16 or 32, got 7"):
        paper_rates("aspp", 7)


def test_each_name_builds_its_pyramid():
    assert PYRAMIDS.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        pyramid = build(name)
        assert type(pyramid) is kind
        assert pyramid.rates == paper_rates(name, 16)


@pytest.mark.parametrize("name", KINDS)
def test_dropout_is_that_of_the_blueprint(name):
    pyramid = build(name, dropout=0.3, backbone="vgg16")
    probabilities = {m.p for m in pyramid.modules() if type(m).__name__ == "Dropout"}
    assert probabilities == {0.3}


@pytest.mark.parametrize("name", ["aspp", "dense_aspp", "wasp", "dpc"])
def test_width_and_separability_are_those_of_the_blueprint(name):
    assert build(name).out_channels == 256
    narrow = build(name, channels=8, separable=True)
    assert narrow.out_channels == 8
    plain = build(name, channels=8)
    assert count(narrow) < count(plain)


def count(pyramid: Pyramid) -> int:
    return sum(weight.numel() for weight in pyramid.parameters())


def test_aspp_may_share_its_kernel():
    saved = count(build("aspp", channels=8)) - count(build("aspp", channels=8, shared_kernel=True))
    assert saved == 2 * 16 * 8 * 9


def test_a_cascade_repeats_the_multi_grid():
    assert build("cascade").multi_grid == (1, 1, 1)
    cascade = build("cascade", multi_grid=(1, 2, 4))
    assert cascade.multi_grid == (1, 2, 4)
    rates = [unit.atrous.rate for block in cascade.blocks for unit in block]
    assert rates == [4, 8, 16, 8, 16, 32, 16, 32, 64]
    assert cascade.out_channels == 16


@pytest.mark.parametrize(
    ("kernel_size", "channels", "hidden"), [(3, None, 1024), (7, None, 4096), (3, 8, 8), (4, 8, 8)]
)
def test_a_large_field_of_view_has_its_papers_width(kernel_size, channels, hidden):
    layers = build("large_fov", kernel_size=kernel_size, channels=channels, rates=(4,)).layers
    assert layers.fc6.weight.shape == (hidden, 16, kernel_size, kernel_size)
    assert layers.fc7.weight.shape == (hidden, hidden, 1, 1)
    assert layers.fc8.weight.shape == (3, hidden, 1, 1)


def test_a_pyramid_that_does_not_fit_its_rates_is_refused():
    with pytest.raises(ValueError, match="DPC has five branches"):
        build("dpc", rates=((1, 6),))


def test_the_rates_of_a_network_are_its_papers():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, pyramid="wasp")
    assert model.rates == model.pyramid.rates == paper_rates("wasp", 16)
