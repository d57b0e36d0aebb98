import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large, deeplabv3_resnet50

from atrous.errors import DataError, UsageError
from atrous.models import create_model
from atrous.weights import conversion, convert
from atrous.weights.to_peer import to_peer, write_state


def numbered(network: nn.Module) -> nn.Module:
    """Give every tensor values of its own."""
    torch.manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize(
    ("library", "make"),
    [
        (
            "torchvision",
            lambda: deeplabv3_resnet50(weights_backbone=None, num_classes=3, aux_loss=True),
        ),
        ("torchvision", lambda: deeplabv3_mobilenet_v3_large(weights_backbone=None, num_classes=3)),
        ("smp", lambda: smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=3)),
        (
            "smp",
            lambda: smp.DeepLabV3(
                "mobilenet_v2",
                encoder_weights=None,
                classes=3,
                encoder_output_stride=16,
                decoder_channels=64,
                decoder_atrous_rates=(2, 4, 6),
                decoder_aspp_separable=True,
            ),
        ),
    ],
)
def test_there_and_back_is_bit_equal(library, make, monkeypatch):
    # Names alone are tested here; that logits agree, elsewhere.
    monkeypatch.setattr(conversion, "compare", lambda *_, **__: None)
    theirs = numbered(make())
    back = to_peer(convert(theirs)[0], library)
    state = theirs.state_dict()
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())
    make().load_state_dict(back)  # strict


def model(architecture="deeplabv3", backbone="resnet50", **keywords):
    keywords = {"num_classes": 2, "output_stride": 8} | keywords
    with torch.device("meta"):
        return create_model(architecture, backbone=backbone, **keywords)


@pytest.mark.parametrize(
    ("keywords", "library", "said"),
    [
        ({}, "torchvision", "torchvision cannot compute this model: head_convs 0 (there 1)"),
        (
            {"conventions": {"head_convs": 1}, "rates": (6, 12, 18)},
            "torchvision",
            "rates (6, 12, 18) (there (12, 24, 36))",
        ),
        ({"pyramid": "wasp"}, "torchvision", "pyramid wasp (there aspp)"),
        ({"backbone": "resnet18"}, "torchvision", "has no deeplabv3 on resnet18"),
        ({"architecture": "deeplabv3plus"}, "torchvision", "has no deeplabv3plus on resnet50"),
        (
            {"architecture": "lraspp", "backbone": "mobilenetv3_large_100"},
            "smp",
            "smp is not installed here, or has no lraspp on mobilenetv3_large_100",
        ),
        ({"conventions": {"dilate_first_block": True}}, "smp", "align_corners False (there True)"),
    ],
)
def test_what_the_library_cannot_compute_is_refused_with_the_reason(keywords, library, said):
    with pytest.raises(DataError) as caught:
        to_peer(model(**keywords), library)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stride_that_was_not_trained_is_refused_with_the_cure():
    network = model(output_stride=8)
    network.set_output_stride(16)
    with pytest.raises(DataError, match=r"trained at output stride 8 .*set_output_stride\(8\)"):
        to_peer(network, "torchvision")


def test_an_unused_layer_that_conversion_drops_cannot_be_written():
    network = smp.DeepLabV3("efficientnet-b0", encoder_weights=None, classes=2)
    with pytest.raises(DataError, match=r"smp wants encoder\._bn1\.bias, which is not as it"):
        to_peer(convert(network)[0], "smp")


def test_other_libraries_are_refused():
    with pytest.raises(UsageError, match="library 'vainf' is unknown here; use torchvision or smp"):
        to_peer(model(), "vainf")


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_state_is_written_plainly(tmp_path, ending):
    state = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
    path = write_state(state, tmp_path / f"state{ending}")
    read = torch.load(path, weights_only=True) if ending == ".pth" else load_file(path)
    assert all(torch.equal(read[key], tensor) for key, tensor in state.items())


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"state\.bin: a state dict is written as"):
        write_state({}, tmp_path / "state.bin")
    assert not list(tmp_path.iterdir())
