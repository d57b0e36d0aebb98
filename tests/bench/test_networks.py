import sys

import pytest
import torch

from atrous.bench.networks import is_random, load_network
from atrous.errors import UsageError


def test_random_weights_are_the_same_each_time_and_not_trivial():
    name = "random:torchvision/lraspp_mobilenet_v3_large"
    before = torch.get_rng_state()
    first, second = load_network(name), load_network(name)
    assert torch.equal(before, torch.get_rng_state())
    assert is_random(name)
    assert not first.training
    for ours, again in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(ours, again)
    norms = [m for m in first.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.running_mean.any() and norm.running_var.std() > 0 for norm in norms)


def test_a_file_is_loaded(small, small_file):
    assert not is_random(small_file)
    assert load_network(small_file).blueprint == small.blueprint


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("random:torchvision/deeplabv3_resnet5", "use random:torchvision/deeplabv3_resnet50"),
        ("random:smp/unet_resnet50", "random:smp/deeplabv3plus_ENCODER"),
        ("random:smp/deeplabv3_resnet5", "such as resnet50"),
        ("camvid-lite1", "did you mean camvid-lite0"),
    ],
)
def test_unknown_names_are_refused(name, said):
    with pytest.raises(UsageError, match=said):
        load_network(name)


def test_a_missing_peer_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(UsageError, match="pip install segmentation-models-pytorch"):
        load_network("random:smp/deeplabv3plus_resnet18")
