import itertools

import pytest
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.models import ARCHITECTURES, SegmentationModel, create_model

BACKBONES = ["resnet18", "efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto"]
SIDES = (1, 2, 17, 33, 65)


@pytest.fixture(
    scope="module",
    params=itertools.product(ARCHITECTURES, BACKBONES),
    ids="-".join,
)
def model(request) -> SegmentationModel:
    architecture, backbone = request.param
    torch.manual_seed(0)
    return create_model(architecture, backbone=backbone, num_classes=3)


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


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_reach_every_weight(model, batch):
    model.train().zero_grad()
    torch.manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)  # timm's ResNets begin with some at zero, which stops it
    model(torch.randn(batch, 3, 97, 97)).square().mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("output_stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
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


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"architecture": "deeplabv3+"}, "architecture 'deeplabv3+' is unknown; use deeplabv3plus"),
        (
            {"architecture": "unet"},
            "architecture 'unet' is unknown; use deeplabv3 or deeplabv3plus",
        ),
        ({"backbone": "resnet5O"}, "backbone 'resnet5O' is unknown to timm; did you mean resnet50"),
        ({"backbone": "ghostnet_050"}, "its own is 32: use that, or another backbone"),
        ({"num_classes": 0}, "num_classes: should be greater than or equal to 1, got '0'"),
        ({"num_classes": None}, "num_classes: should be a valid integer, got 'None'"),
        ({"classes": ("sky", "road")}, "the model has 3 classes, got 2 names"),
        ({"output_stride": 7}, "output_stride must be 4, 8, 16 or 32, got 7"),
        ({"output_stride": 7, "rates": (1,)}, "cannot be dilated to output_stride 7"),
        ({"rates": ()}, "rates: Tuple should have at least 1 item"),
        ({"rates": (6, 0)}, "rates.1: should be greater than or equal to 1, got '0'"),
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
