import itertools

import pytest
import torch

from atrous.errors import UsageError
from atrous.models import ARCHITECTURES, SegmentationModel, build, create_model

BACKBONES = ["resnet18", "efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto"]
SIDES = (1, 17, 33, 65)


@pytest.fixture(
    scope="module",
    params=itertools.product(ARCHITECTURES, BACKBONES),
    ids="-".join,
)
def model(request) -> SegmentationModel:
    architecture, backbone = request.param
    torch.manual_seed(0)
    return create_model(architecture, backbone=backbone, num_classes=3, channels=32)


@pytest.mark.parametrize("training", [True, False])
def test_logits_have_the_size_of_the_images(model, training):
    model.train(training)
    for number, size in enumerate(itertools.product(SIDES, SIDES)):
        batch = 1 + number % 3
        with torch.no_grad():
            logits = model(torch.randn(batch, 3, *size))
        assert logits.shape == (batch, 3, *size)
        assert logits.isfinite().all()


def test_a_batch_is_as_its_images_one_by_one(model):
    model.eval()
    images = torch.randn(3, 3, 65, 49, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together, single = model(images), torch.cat([model(image[None]) for image in images])
    assert (together - single).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("architecture", "pyramid", "output_stride", "rates", "dropout"),
    [
        ("deeplabv1", "large_fov", 8, (12,), 0.5),
        ("deeplabv2", "aspp_v2", 8, (6, 12, 18, 24), 0.5),
        ("deeplabv3", "aspp", 16, (6, 12, 18), 0.1),
        ("deeplabv3plus", "aspp", 16, (6, 12, 18), 0.1),
        ("lraspp", "lr_aspp", 16, (), 0.0),
    ],
)
def test_what_is_not_said_is_as_in_the_paper(architecture, pyramid, output_stride, rates, dropout):
    model = create_model(architecture, backbone="test_resnet", num_classes=2, channels=8)
    blueprint = model.blueprint
    assert (blueprint.pyramid, blueprint.output_stride) == (pyramid, output_stride)
    assert (blueprint.rates, blueprint.dropout) == (rates, dropout)
    assert model.rates == model.pyramid.rates == rates
    assert (blueprint.scales, blueprint.aux_head) == ((1.0,), False)


@pytest.mark.parametrize("architecture", ["deeplabv3", "deeplabv3plus"])
@pytest.mark.parametrize(
    ("output_stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
@torch.no_grad()
def test_the_rates_follow_the_output_stride(architecture, output_stride, rates):
    model = create_model(
        architecture, backbone="test_resnet", num_classes=2, output_stride=output_stride
    )
    assert model.output_stride == output_stride
    assert model.rates == rates
    assert [branch[0].dilation[0] for branch in model.pyramid.atrous] == list(rates)
    deep = model.eval().backbone(torch.zeros(1, 3, 65, 97)).deep
    assert deep.shape[-2:] == (64 // output_stride + 1, 96 // output_stride + 1)
    coarse = model.coarse_logits(torch.zeros(1, 3, 65, 97))
    stride = output_stride if architecture == "deeplabv3" else 4
    assert coarse.shape[-2:] == (64 // stride + 1, 96 // stride + 1)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("multi_grid", (1.0, 2.0)),
        ("separable", True),
        ("shared_kernel", True),
        ("image_pooling", False),
        ("channels", 16),
        ("scales", (0.5, 1.0)),
        ("aux_head", True),
        ("dropout", 0.25),
    ],
)
def test_what_is_said_shapes_the_network(keyword, value):
    keywords = {"backbone": "resnet18", "num_classes": 2}
    model = create_model("deeplabv3", **keywords, **{keyword: value})
    assert getattr(model.blueprint, keyword) == value
    plain = create_model("deeplabv3", **keywords)
    if keyword == "scales":
        image = torch.randn(1, 3, 65, 49)
        plain.load_state_dict(model.state_dict())
        assert not torch.equal(model.eval()(image), plain.eval()(image))
    else:
        assert repr(model) != repr(plain)


def test_rates_may_be_chosen():
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, rates=[1, 5])
    assert model.rates == (1, 5)


def test_classes_bring_their_number_and_colours():
    palette = ((1, 2, 3), (4, 5, 6))
    model = create_model(
        "deeplabv3", backbone="test_resnet", classes=["sky", "road"], palette=palette
    )
    assert model.classes == ("sky", "road")
    assert model.palette == palette
    assert model.blueprint.num_classes == 2
    assert model(torch.zeros(1, 3, 33, 33)).shape == (1, 2, 33, 33)


def test_images_may_have_other_channels():
    model = create_model("deeplabv3plus", backbone="test_resnet", num_classes=2, in_channels=4)
    assert model(torch.zeros(1, 4, 33, 33)).shape == (1, 2, 33, 33)


def test_a_seed_decides_every_weight():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(create_model("deeplabv3", backbone="test_resnet", num_classes=2).state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_blueprint_builds_the_same_network_again(architecture):
    model = create_model(architecture, backbone="test_resnet", num_classes=2, channels=8)
    again = build(model.blueprint)
    assert again.blueprint == model.blueprint
    assert repr(again) == repr(model)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"architecture": "deeplabv3+"}, "architecture 'deeplabv3+' is unknown; use deeplabv3plus"),
        ({"architecture": "deeplab"}, "architecture 'deeplab' is unknown; use deeplabv"),
        (
            {"architecture": "unet"},
            "'unet' is unknown; use deeplabv1 or deeplabv2 or deeplabv3 or deeplabv3plus or lraspp",
        ),
        ({"pyramid": "waspp"}, "pyramid of deeplabv3 'waspp' is unknown; use wasp"),
        (
            {"pyramid": "large_fov"},
            "'large_fov' is unknown; use aspp or cascade or dense_aspp or wasp or dpc",
        ),
        ({"architecture": "lraspp", "pyramid": "aspp"}, "pyramid of lraspp 'aspp' is unknown; use"),
        ({"backbone": "resnet5O"}, "backbone 'resnet5O' is unknown to timm; did you mean resnet50"),
        ({"backbone": "inception_v3"}, "which cannot be dilated; use a larger one"),
        ({"backbone": "vgg16"}, "has output_stride 8 of its own, got 16; use that or a smaller"),
        ({"num_classes": 0}, "num_classes: should be greater than or equal to 1, got '0'"),
        ({"num_classes": None}, "num_classes: should be a valid integer, got 'None'"),
        ({"classes": ("sky", "road")}, "the model has 3 classes, got 2 names"),
        ({"output_stride": 7}, "output_stride must be 4, 8, 16 or 32, got 7"),
        ({"output_stride": 7, "rates": (1,)}, "output_stride must be 4, 8, 16 or 32, got 7"),
        ({"pyramid": "wasp", "rates": ()}, "pyramid 'wasp': rates needs one or more whole numbers"),
        ({"rates": (6, 0)}, "rates.1"),
        ({"architecture": "deeplabv1", "rates": (6, 12)}, "LargeFOV has one kernel, got rates (6,"),
        ({"rates": ((6, 6), (6, 12))}, "pyramid 'aspp': rates needs whole numbers"),
        ({"pyramid": "dpc", "rates": (6, 12)}, "pyramid 'dpc': rates needs one or more pairs"),
        ({"multi_grid": (1, 2, 4)}, "multi_grid needs one unit rate for each of the 1 blocks"),
        ({"shared_kernel": True, "separable": True}, "pyramid 'aspp': shared_kernel has one dense"),
        ({"channels": 0}, "channels: should be greater than or equal to 1, got '0'"),
        ({"scales": ()}, "scales: Tuple should have at least 1 item"),
        ({"scales": (0,)}, "scales.0: should be greater than or equal to 0.1"),
        (
            {"architecture": "deeplabv1", "kernel_size": 4, "rates": (3,)},
            "pyramid 'large_fov': kernel_size 4 at rate 3 spans 10 cells",
        ),
        ({"dropout": 1.0}, "dropout: should be less than 1, got '1.0'"),
        ({"dropout": -0.5}, "dropout: should be greater than or equal to 0, got '-0.5'"),
        ({"in_channels": 0}, "in_channels: should be greater than or equal to 1, got '0'"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_cure(keywords, message):
    arguments = {"architecture": "deeplabv3", "backbone": "test_resnet", "num_classes": 3}
    with pytest.raises(UsageError) as caught:
        create_model(**arguments | keywords)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
