import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

import atrous
from atrous.errors import AtrousError, DataError, UsageError
from atrous.weights import conversion, convert, load_model, peers, save_model
from atrous.weights.agreement import TOLERANCE

LOW = "classifier.low_classifier.weight"


def lively(network: nn.Module) -> nn.Module:
    """Give all batch norms numbers of their own, and the logits a size of about 1."""
    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
                module.momentum = 1.0
        network.train()(torch.randn(2, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def lraspp() -> nn.Module:
    return lively(lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=3))


@pytest.fixture(scope="module")
def unet_like() -> nn.Module:
    network = smp.DeepLabV3Plus(
        "resnet18",
        encoder_weights=None,
        encoder_output_stride=8,
        decoder_atrous_rates=(2, 4, 6),
        classes=3,
    )
    return lively(network)


@pytest.fixture
def state(lraspp) -> dict[str, torch.Tensor]:
    return dict(lraspp.state_dict())


IMAGE = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_the_name_is_public():
    assert atrous.convert is convert


def test_a_module_of_torchvision(lraspp):
    model, report = convert(lraspp)
    assert not model.training
    assert (model(IMAGE) - lraspp(IMAGE)["out"]).abs().max() < 1e-5
    assert (report.origin, report.architecture) == ("torchvision", "lraspp")
    assert report.settings["backbone"] == "mobilenetv3_large_100"
    assert report.settings["norm_eps"] == 1e-3  # a convention
    assert "align_corners" not in report.settings  # the papers'
    assert report.tensors == len(lraspp.state_dict())
    assert report.dropped == {}
    assert report.agreement.against == "the module LRASPP"
    assert report.agreement.difference <= TOLERANCE * report.agreement.largest
    assert report.agreement.same_class == 1


def test_a_module_of_segmentation_models_pytorch_says_what_its_weights_do_not(unet_like):
    model, report = convert(unet_like)
    assert (model(IMAGE) - unet_like(IMAGE)).abs().max() < 1e-5
    assert (model.output_stride, model.rates) == (8, (2, 4, 6))
    assert report.agreement.sizes == ((160, 128), (64, 640))


def test_a_module_of_transformers():
    network = MobileNetV2ForSemanticSegmentation(
        MobileNetV2Config(num_labels=2, id2label={0: "sky", 1: "road"}, output_stride=8)
    )
    model, report = convert(network)
    assert report.origin == "huggingface"
    assert report.agreement.same_class == 1
    assert model.classes == ("sky", "road")
    assert model.output_stride == 8


def test_what_a_caller_says_wrongly_is_noticed(unet_like):
    with pytest.raises(DataError, match="the module DeepLabV3Plus: the converted model computes"):
        convert(unet_like, rates=(2, 4, 7))
    with pytest.raises(DataError, match="computes something else"):
        convert(unet_like, output_stride=16)


def test_a_state_dict_is_compared_with_the_library(unet_like):
    model, report = convert(unet_like.state_dict(), output_stride=8, rates=(2, 4, 6))
    assert report.agreement.against.startswith("segmentation_models_pytorch 0.")
    assert torch.equal(model(IMAGE), convert(unet_like)[0](IMAGE))


def test_where_the_library_is_missing_this_is_said(state, monkeypatch):
    monkeypatch.setattr(conversion, "library_network", lambda *_: None)
    _, report = convert(state)
    assert report.agreement is None
    assert report.verdict == "not checked here; the tests of atrous check this origin"


def test_a_file_of_torch(state, tmp_path):
    path = tmp_path / "checkpoint.pth"
    meta = {"CLASSES": ("sky", "road", "tree"), "PALETTE": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    torch.save({"model": wrapped, "epoch": 7, "meta": meta}, path)
    model, report = convert(path)
    assert model.classes == meta["CLASSES"]
    assert model.palette == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert report.dropped.keys() == {"epoch", "meta"}
    assert torch.equal(model(IMAGE), convert(state)[0](IMAGE))


def test_the_caller_names_the_classes(state):
    tree = {"model": state, "meta": {"CLASSES": ("a", "b", "c"), "PALETTE": [[0, 0, 9]] * 3}}
    model, _ = convert(tree, classes=("x", "y", "z"))
    assert model.classes == ("x", "y", "z")
    assert model.palette[0] != (0, 0, 9)
    colors = ((1, 1, 1), (2, 2, 2), (3, 3, 3))
    assert convert(tree, palette=colors)[0].palette == colors


def test_counters_that_old_files_lack_are_not_missed(state):
    kept = {key: value for key, value in state.items() if not key.endswith("batches_tracked")}
    assert convert(kept)[1].agreement.holds


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({LOW: None}, "classifier.low_classifier.weight"),
        ({LOW: torch.zeros(3, 41, 1, 1)}, "has shape (3, 41, 1, 1), expected (3, 40, 1, 1)"),
        ({LOW: torch.full((3, 40, 1, 1), torch.inf)}, "not finite: classifier.low_classifier"),
        ({"backbone.99.weight": torch.zeros(1)}, "backbone.99.weight"),
        ({"backbone.1.block.0.1.running_var": None}, "running_var is missing"),
        ({"meta": {"CLASSES": ("a", "b")}}, "its classes: the model has 3 classes, got 2 names"),
    ],
)
def test_what_is_not_explained_is_refused_by_name(state, tmp_path, change, said):
    tree = {"model": {k: v for k, v in (state | change).items() if v is not None}}
    if "meta" in tree["model"]:
        tree["meta"] = tree["model"].pop("meta")
    with pytest.raises(DataError) as caught:
        convert(tree)
    assert str(caught.value).startswith("the state dict: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_origin_names_what_is_known():
    with pytest.raises(DataError) as caught:
        convert({"a.weight": torch.ones(1), "b.weight": torch.ones(1)})
    assert "2 tensors (a.weight, b.weight …) are of no DeepLab" in str(caught.value)
    assert all(name in str(caught.value) for name in peers.PEERS)


def test_what_is_no_image_network_is_no_bug(lraspp):
    # Any odd state of a known origin ends in an error of ours.
    for key in list(lraspp.state_dict())[::80]:
        state = dict(lraspp.state_dict())
        state[key] = torch.zeros(())
        with pytest.raises(AtrousError):
            convert(state)


def test_a_backbone_that_must_be_given(state, monkeypatch):
    peer = peers.PEERS["torchvision"]

    def convert_without(state, hints):
        converted = peer.convert(state, hints)
        return converted._replace(keywords=converted.keywords | {"backbone": hints.backbone})

    fake = SimpleNamespace(recognises=peer.recognises, convert=convert_without)
    monkeypatch.setitem(peers.PEERS, "torchvision", fake)
    with pytest.raises(UsageError, match="do not tell their backbone; give its name there"):
        convert(state)
    with pytest.raises(UsageError, match="the state dict: backbone 'nosuch' is unknown to timm"):
        convert(state, backbone="nosuch")


def test_the_report_can_be_read_and_stored(state, tmp_path):
    model, report = convert({"model": state, "epoch": 3})
    lines = str(report).splitlines()
    assert [line.split()[0] for line in lines] == [
        "origin",
        "architecture",
        "settings",
        "tensors",
        "dropped",
        "agreement",
    ]
    assert "epoch: stands beside the weights" in lines[4]
    path = save_model(model, tmp_path / "a.safetensors", training={"converted": report.to_json()})
    assert torch.equal(load_model(path)(IMAGE), model(IMAGE))
    stored = json.loads(json.dumps(report.to_json()))
    assert stored["agreement"]["same_class"] == 1
    assert stored["verdict"] == report.verdict


def test_every_library_is_in_the_table():
    files = Path(peers.__file__).parent.glob("*.py")
    of_libraries = {path.stem for path in files if "\ndef recognises(" in path.read_text()}
    assert set(peers.PEERS) == of_libraries
    assert len(peers.PEERS) >= 9
    for name, peer in peers.PEERS.items():
        assert Path(peer.__file__).stem == name
        assert not peer.recognises({"a.weight": torch.ones(1)})


def test_a_live_module_stays_as_it_is(lraspp):
    lraspp.train()
    before = {key: tensor.clone() for key, tensor in lraspp.state_dict().items()}
    convert(lraspp)
    assert lraspp.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in lraspp.state_dict().items())
    lraspp.eval()
