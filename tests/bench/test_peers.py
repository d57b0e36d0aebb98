import sys

import numpy as np
import pytest
import torch

from atrous.bench import peers
from atrous.bench.networks import load_network
from atrous.bench.peers import Peer, peer_of, peer_ways
from atrous.errors import AtrousError, DataError, MissingExtraError


@pytest.fixture(scope="module")
def lraspp():
    return load_network("random:torchvision/lraspp_mobilenet_v3_large")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)


def test_a_peer_normalises_by_itself():
    peer = Peer(torch.nn.Identity(), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    pictures = torch.tensor([255, 255, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.allclose(peer.logits(pictures).flatten(), torch.tensor([1.0, 3.0, 0.2]))
    assert peer(pictures).item() == 1


@torch.no_grad()
def test_a_peer_has_the_same_weights(lraspp, pictures):
    (way,) = peer_ways("torchvision", ["torch"], ["fp32"])
    opened = way.open(lraspp, pictures)
    expected = lraspp(lraspp.preprocessing(torch.from_numpy(pictures).permute(0, 3, 1, 2)))
    logits = opened.logits(pictures)
    assert torch.allclose(logits, expected, atol=1e-4 * float(expected.abs().max()))
    assert torch.equal(opened.labels(pictures), logits.argmax(dim=1).to(torch.uint8))


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return Peer(torch.nn.Conv2d(3, 5, 3), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)).eval()


@torch.no_grad()
def test_pictures_come_in_the_layout_of_the_weights(plain, pictures):
    seen = []
    plain.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    plain(torch.from_numpy(pictures))
    plain.with_channels_last(torch.bfloat16)(torch.from_numpy(pictures))
    first, last = seen
    assert first.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert last.dtype == plain.network.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(("engine", "precision"), [
    ("optimized", "fp32"), ("optimized", "bf16"),
    ("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_what_is_made_of_it_gives_the_same_labels(plain, pictures, engine, precision):
    if engine != "optimized":
        pytest.importorskip(engine)
    expected = plain(torch.from_numpy(pictures))
    made = peers._MADE[engine][1][precision](plain, torch.from_numpy(pictures))
    labels = made.labels(pictures)
    assert (made.logits is None) == (engine != "optimized")  # the argmax is in the graph
    assert labels.dtype == torch.uint8
    assert labels.shape == expected.shape == (1, 62, 94)
    assert (labels == expected).float().mean() >= {"fp32": 0.9999, "bf16": 0.95}[precision]


@torch.no_grad()
def test_compiled_its_weights_are_constants(plain, pictures, monkeypatch):
    frozen = []

    def compiler(peer, *, dynamic):
        def program(pictures):
            frozen.append(torch._inductor.config.freezing and not torch.is_grad_enabled())
            return peer(pictures)

        return program

    monkeypatch.setattr(torch, "compile", compiler)
    made = peers._MADE["compiled"][1]["bf16"](plain, torch.from_numpy(pictures))
    assert frozen == [True]
    assert plain.network.weight.dtype == torch.bfloat16
    assert made.labels(pictures).shape == (1, 62, 94)


@pytest.mark.parametrize("library", ["torchvision", "smp"])
def test_engines_and_precisions_choose_what_is_made(library):
    assert len(peer_ways(library, ["openvino"], ["fp32"])) == 2
    assert len(peer_ways(library, ["onnxruntime", "compiled"], ["fp32"])) == 3
    names = [way.name for way in peer_ways(library, ["onnxruntime", "compiled"], ["bf16"])]
    assert names == [f"{library} eager fp32", f"{library} torch.compile bf16"]


def test_a_network_that_the_library_has_not_is_refused(small, lraspp):
    with pytest.raises(DataError, match="torchvision has no deeplabv3 on test_efficientnet"):
        peer_of(small, "torchvision")
    pytest.importorskip("segmentation_models_pytorch")
    with pytest.raises(DataError, match="smp has no lraspp"):
        peer_of(lraspp, "smp")


def test_missing_packages_are_named(lraspp, pictures, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    for way in peer_ways("torchvision", ["onnxruntime", "openvino"], ["fp32"])[1:]:
        with pytest.raises(MissingExtraError, match="is not installed: pip install 'atrous"):
            way.open(lraspp, pictures)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(AtrousError, match="pip install segmentation-models-pytorch"):
        peer_of(lraspp, "smp")
