import numpy as np
import pytest
import torch
from torch import nn

from atrous.errors import UsageError
from atrous.fast import optimize
from atrous.fast.program import program
from atrous.models import Preprocessing

KINDS = [
    ("deeplabv3", {}),
    ("deeplabv3plus", {"separable": True, "aux_head": True, "output_stride": 8}),
    ("deeplabv3plus", {"backbone": "test_efficientnet", "channels": 16}),
]
SHAPES = [(1, 65, 97), (2, 1, 1), (1, 17, 40)]


def pixels(batch, height, width, channels=3):
    generator = torch.Generator().manual_seed(height)
    shape = (batch, height, width, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def assert_same(run, read, preprocessing, shapes=SHAPES):
    for shape in shapes:
        images = pixels(*shape)
        with torch.inference_mode():
            expected = read(preprocessing(images.permute(0, 3, 1, 2)))
            assert torch.allclose(run(images), expected, atol=1e-4 * expected.abs().max().item())


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
@pytest.mark.parametrize(("architecture", "keywords"), KINDS)
def test_logits_are_those_of_the_network_at_every_size(make, architecture, keywords):
    model = make(architecture, **keywords)
    model.preprocessing = Preprocessing((0.3, 0.5, 0.6), (0.2, 0.4, 0.7))
    run = program(model).module()
    assert_same(run, model, model.preprocessing)


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
@pytest.mark.parametrize("outputs", ["coarse_logits", "logits"])
def test_aligned_corners_take_maps_of_every_size_from_two_cells_on(make, outputs):
    model = make("deeplabv3plus", conventions={"align_corners": True})
    run = program(model, outputs=outputs).module()
    read = model if outputs == "logits" else model.coarse_logits
    assert_same(run, read, model.preprocessing, [(1, 65, 97), (2, 5, 6), (1, 17, 40)])


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
@pytest.mark.parametrize("architecture", ["deeplabv3", "deeplabv3plus"])
def test_a_network_at_another_stride_has_its_cells_in_place(make, architecture):
    model = make(architecture, output_stride=16)
    model.set_output_stride(8)
    run = program(model).module()
    assert_same(run, model, model.preprocessing)


def test_coarse_logits_and_labels(make):
    model, images = make("deeplabv3"), pixels(2, 70, 90)
    with torch.inference_mode():
        expected = model.coarse_logits(model.preprocessing(images.permute(0, 3, 1, 2)))
        coarse = program(model, outputs="coarse_logits").module()(images)
        assert torch.allclose(coarse, expected, atol=1e-4)
        labels = program(model, outputs="labels").module()(images)
        logits = model(model.preprocessing(images.permute(0, 3, 1, 2)))
    assert labels.dtype == torch.uint8
    assert (labels == logits.argmax(1)).double().mean() > 0.999


def test_many_classes_need_wider_labels(make):
    run = program(make("lraspp", num_classes=300), outputs="labels").module()
    assert run(pixels(1, 40, 40)).dtype == torch.uint16


def test_the_scale_is_in_the_first_convolution(make):
    model = make("deeplabv3")
    exported = program(model)
    assert not [node for node in exported.graph.nodes if str(node.target) == "aten.mul.Tensor"]
    first = optimize(model).network.backbone.network.conv1[0].weight
    scale = 1 / (255 * np.array(model.preprocessing.std))
    weights = [value for value in exported.state_dict.values() if value.shape == first.shape]
    expected = first * torch.tensor(scale, dtype=torch.float32).view(1, -1, 1, 1)
    assert any(torch.allclose(weight, expected, rtol=1e-5) for weight in weights)


def test_grey_images_have_one_channel(make):
    run = program(make("deeplabv3", in_channels=1)).module()
    assert run(pixels(1, 40, 50, channels=1)).shape == (1, 3, 40, 50)


def test_half_precision_ends_in_float32(make):
    model, images = make("deeplabv3"), pixels(1, 65, 65)
    exact = program(model).module()(images)
    for precision, limit in (("fp16", 0.02), ("bf16", 0.1)):
        logits = program(model, precision=precision).module()(images)
        assert logits.dtype == torch.float32
        assert 1e-5 < ((logits - exact).abs().max() / exact.abs().max()).item() < limit


def test_the_model_stays_as_it_is(make):
    model = make("deeplabv3").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    program(model, precision="fp16")
    assert model.training
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    inplace = [module.inplace for module in model.modules() if isinstance(module, nn.ReLU)]
    assert any(inplace)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"outputs": "masks"}, "outputs 'masks' is unknown; use logits, coarse_logits, labels"),
        ({"precision": "int4"}, "precision 'int4' is unknown; use fp32, fp16, bf16"),
    ],
)
def test_unknown_words_are_refused(make, keywords, message):
    with pytest.raises(UsageError, match=message):
        program(make("deeplabv3"), **keywords)


def test_what_has_no_program_is_refused(make):
    with pytest.raises(UsageError, match=r"reads images at scales \(0.5, 1.0\)"):
        program(make("deeplabv2", scales=(0.5, 1.0)))
    with pytest.raises(UsageError, match="is optimized for another precision, or for a size"):
        program(optimize(make("deeplabv3"), size=(65, 65)))


def test_an_optimized_network_has_the_same_program_and_stays_as_it_is(make):
    model, images = make("deeplabv3"), pixels(1, 40, 50)
    fast = optimize(model)
    before = fast.coarse_logits(images)
    logits = program(fast, outputs="coarse_logits").module()(images)
    assert torch.allclose(logits, before, atol=1e-4 * before.abs().max().item())
    assert torch.equal(fast.coarse_logits(images), before)
