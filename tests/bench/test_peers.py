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


@pytest.mark.parametrize(
    ("package", "export", "least"),
    [("onnxruntime", "_onnxruntime", 1.0), ("openvino", "_openvino", 0.95)],
)
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_exports_have_the_argmax_inside(pictures, package, export, least):
    pytest.importorskip(package)
    torch.manual_seed(0)
    peer = Peer(torch.nn.Conv2d(3, 5, 1), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)).eval()
    exported = getattr(peers, export)(peer, torch.from_numpy(pictures))
    labels, expected = exported.labels(pictures), peer(torch.from_numpy(pictures))
    assert exported.logits is None
    assert labels.dtype == torch.uint8
    assert labels.shape == expected.shape == (1, 64, 96)
    assert (labels == expected).float().mean() >= least


def test_engines_and_precisions_choose_the_exports():
    assert len(peer_ways("torchvision", ["openvino"], ["fp32"])) == 1
    assert len(peer_ways("torchvision", ["onnxruntime", "compiled"], ["fp32"])) == 3
    assert [way.name for way in peer_ways("smp", ["compiled"], ["bf16"])] == ["smp eager fp32"]


def test_a_network_that_the_library_has_not_is_refused(small, lraspp):
    with pytest.raises(DataError, match="torchvision has no deeplabv3 on test_efficientnet"):
        peer_of(small, "torchvision")
    pytest.importorskip("segmentation_models_pytorch")
    with pytest.raises(DataError, match="smp has no lraspp"):
        peer_of(lraspp, "smp")


def test_missing_packages_are_named(lraspp, pictures, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    for way in peer_ways("torchvision", ["onnxruntime", "openvino"], ["fp32", "bf16"])[1:]:
        with pytest.raises(MissingExtraError, match="is not installed: pip install 'atrous"):
            way.open(lraspp, pictures)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(AtrousError, match="pip install segmentation-models-pytorch"):
        peer_of(lraspp, "smp")
