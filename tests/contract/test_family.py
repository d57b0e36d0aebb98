"""What every network of the family promises, whatever its architecture and pyramid."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.models import ARCHITECTURES, Conventions, SegmentationModel, create_model
from atrous.weights.model_file import read_model, save_model

FAMILY = [(name, pyramid) for name, kind in ARCHITECTURES.items() for pyramid in kind.pyramids]
SIZE = (65, 49)
IMAGES = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def build(architecture: str, pyramid: str, **keywords) -> SegmentationModel:
    """A small network, no batch norm of which is that of its beginning.

    timm's ResNets begin with some weights at zero, which stops all gradients behind them.
    """
    torch.manual_seed(0)
    keywords = {"backbone": "resnet18", "aux_head": True} | keywords
    if (architecture, pyramid) != ("deeplabv3", "cascade"):  # which has its backbone's width
        keywords = {"channels": 32} | keywords
    model = create_model(architecture, pyramid=pyramid, num_classes=3, **keywords)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module", params=FAMILY, ids="-".join)
def original(request) -> SegmentationModel:
    return build(*request.param).eval()


@pytest.fixture
def model(original) -> SegmentationModel:
    return copy.deepcopy(original)


def test_the_family_is_complete():
    assert len(FAMILY) == 14
    assert len(set(FAMILY)) == 14


@pytest.mark.parametrize("batch", [1, 2])
def test_one_step_of_training_changes_every_weight(model, batch):
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.5)
    target = torch.arange(batch * SIZE[0] * SIZE[1]).view(batch, *SIZE) % 3
    maps = model.coarse_logits_and_auxiliary(IMAGES[:batch])
    losses = [F.cross_entropy(F.interpolate(x, SIZE, mode="bilinear"), target) for x in maps]
    torch.stack(losses).sum().backward()
    optimizer.step()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        # The mean over a single map is a constant, which the batch norm behind takes away.
        if batch > 1 or not name.startswith("pyramid.image."):
            assert not torch.equal(weight, before[name]), name
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


@torch.no_grad()
def test_a_saved_model_is_read_as_it_was(model, tmp_path):
    again = read_model(save_model(model, tmp_path / "model.safetensors"))
    assert again.blueprint == model.blueprint
    assert torch.equal(again(IMAGES), model(IMAGES))
    _, theirs = again.coarse_logits_and_auxiliary(IMAGES)
    _, ours = model.coarse_logits_and_auxiliary(IMAGES)
    assert torch.equal(theirs, ours)


@torch.no_grad()
def test_the_stride_can_change_and_come_back(model):
    expected, stride = model(IMAGES), model.output_stride
    for other in (8, 16):
        model.set_output_stride(other)
        assert model(IMAGES).shape == expected.shape
    model.set_output_stride(stride)
    assert torch.equal(model(IMAGES), expected)


@torch.no_grad()
def test_an_exported_model_gives_the_same_logits(model):
    exported = torch.export.export(model, (IMAGES,)).module()
    assert_close(exported(IMAGES), model(IMAGES))


@torch.no_grad()
def test_a_compiled_model_gives_the_same_logits(model):
    check_compiled(model)


def check_compiled(model: SegmentationModel) -> None:
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)
    try:
        assert_close(compiled(IMAGES), model(IMAGES))
    finally:
        torch.compiler.reset()


# What changes the way through a network beyond its architecture and pyramid.
VARIANTS = {
    "separable": {"separable": True},
    "shared kernel": {"shared_kernel": True},
    "no image pooling": {"image_pooling": False},
    "scales": {"scales": (0.5, 1.0)},
    "multi-grid": {"multi_grid": (1, 2)},
    "first blocks": {"conventions": Conventions(early_maps="first_block", aux_stride=8)},
    "corners": {"conventions": Conventions(align_corners=True, head_convs=1)},
    "dense squeeze": {"backbone": "mobilenetv3_small_050", "output_stride": 8},
    "padded": {"backbone": "test_convnext"},
    "TensorFlow": {"backbone": "tf_efficientnet_lite0"},
    "blurred": {"backbone": "resnetblur18", "output_stride": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("keywords", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_variants_are_exported_and_compiled_too(keywords):
    model = build("deeplabv3plus", "aspp", **keywords).eval()
    expected = model(IMAGES)
    assert_close(torch.export.export(model, (IMAGES,)).module()(IMAGES), expected)
    check_compiled(model)


def assert_close(ours: Tensor, expected: Tensor) -> None:
    assert ours.shape == expected.shape == (2, 3, *SIZE)
    assert expected.std() > 0
    assert (ours - expected).abs().max() <= 1e-5
