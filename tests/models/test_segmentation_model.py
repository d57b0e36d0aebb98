import math

import pytest
import torch
from torch.nn import functional as F

from atrous.data.palettes import default_palette
from atrous.errors import UsageError
from atrous.models import SegmentationModel, create_model
from atrous.models.segmentation_model import classifier

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


def test_a_classifier_begins_without_preference():
    torch.manual_seed(0)
    conv = classifier(256, 19)
    logits = conv(torch.rand(1, 256, 8, 8))
    first_loss = F.cross_entropy(logits, torch.randint(0, 19, (1, 8, 8))).item()
    assert first_loss == pytest.approx(math.log(19), rel=0.02)
