from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from atrous.errors import DataError, UsageError
from atrous.weights.checkpoint import open_checkpoint

WEIGHT = torch.arange(6.0).view(2, 3)
STATE = {"a.weight": WEIGHT, "b.count": torch.tensor(3)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in STATE.items()}


@pytest.mark.parametrize(
    "holder", ["model", "state_dict", "model_state", "model_state_dict", "ema", "model_ema"]
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod.model."])
def test_the_weights_are_found(holder, prefix):
    checkpoint = open_checkpoint({"epoch": 3, holder: prefixed(prefix)})
    assert checkpoint.state.keys() == STATE.keys()
    assert torch.equal(checkpoint.state["a.weight"], WEIGHT)
    assert checkpoint.beside == {"epoch": "stands beside the weights"}


def test_holders_may_stand_in_one_another_and_the_model_counts_before_its_average():
    tree = {"model_ema": {"n_averaged": WEIGHT}, "model": {"state_dict": STATE}}
    checkpoint = open_checkpoint(tree)
    assert checkpoint.state.keys() == STATE.keys()
    assert checkpoint.beside == {"model_ema": "stands beside the weights"}


def test_the_counter_of_an_average_is_dropped():
    checkpoint = open_checkpoint({"n_averaged": torch.tensor(9)} | prefixed("module."))
    assert checkpoint.state.keys() == STATE.keys()
    assert list(checkpoint.beside) == ["n_averaged"]


def test_a_prefix_that_only_some_names_have_stays():
    state = {"model.a": WEIGHT, "b": WEIGHT}
    assert open_checkpoint(state).state.keys() == state.keys()


def test_floats_become_float32_and_arrays_tensors():
    state = {"a": WEIGHT.half(), "b": WEIGHT.double().numpy(), "c": np.array(3)}
    checkpoint = open_checkpoint(state)
    assert [tensor.dtype for tensor in checkpoint.state.values()] == [
        torch.float32,
        torch.float32,
        torch.int64,
    ]
    assert torch.equal(checkpoint.state["b"], WEIGHT)


@pytest.mark.parametrize(
    "meta",
    [
        {"CLASSES": ("sky", "road"), "PALETTE": [[1, 2, 3], [4, 5, 6]]},
        {"dataset_meta": {"classes": ["sky", "road"], "palette": np.array([[1, 2, 3], [4, 5, 6]])}},
    ],
)
def test_classes_and_palette_of_openmmlab_are_kept(meta):
    checkpoint = open_checkpoint({"meta": meta, "state_dict": STATE})
    assert checkpoint.classes == ("sky", "road")
    assert checkpoint.palette == ((1, 2, 3), (4, 5, 6))


def test_without_meta_there_are_none():
    checkpoint = open_checkpoint({"meta": {"epoch": 3}, "state_dict": STATE})
    assert (checkpoint.classes, checkpoint.palette) == (None, None)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, "no weights are found in it; it has nothing"),
        ({"epoch": 3, "model": "resnet"}, "no weights are found in it; it has epoch, model"),
        ({"model": {}}, "no weights are found in it"),
        (STATE | {"extra": 3}, "extra is no tensor among the weights, but 3"),
        ({"a": WEIGHT / 0}, "1 tensors have values that are not finite: a;"),
    ],
)
def test_what_is_wrong_is_named(tree, said):
    with pytest.raises(DataError) as caught:
        open_checkpoint(tree)
    assert str(caught.value).startswith(f"the state dict: {said}")


def test_another_type_is_refused():
    with pytest.raises(UsageError, match="takes a file, a state dict or a module, got int"):
        open_checkpoint(3)


class ASPPConv(nn.Sequential):
    """A branch, as torchvision calls it."""


class Network(nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        self.low = nn.Conv2d(3, 4, 3, dilation=5)
        self.branches = nn.ModuleList(
            ASPPConv(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, dilation=rate)) for rate in (2, 4)
        )
        for name, value in attributes.items():
            setattr(self, name, value)


def test_a_module_is_copied_and_asked():
    network = Network(name="deeplabv3-tu-resnet18", encoder=SimpleNamespace(output_stride=8))
    network.half().train()
    checkpoint = open_checkpoint(network)
    assert checkpoint.name == "the module Network"
    assert checkpoint.hints == ("tu-resnet18", 8, (2, 4))
    assert checkpoint.classes is None
    assert checkpoint.module is not network
    assert not checkpoint.module.training
    assert network.training
    assert network.low.weight.dtype == torch.float16
    assert checkpoint.state["low.weight"].dtype == torch.float32


def test_a_config_says_more():
    labels = {1: "road", 0: "sky"}
    config = SimpleNamespace(output_stride=16, atrous_rates=[6, 12, 18], id2label=labels)
    checkpoint = open_checkpoint(Network(config=config))
    assert checkpoint.hints == (None, 16, (6, 12, 18))
    assert checkpoint.classes == ("sky", "road")
    config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    assert open_checkpoint(Network(config=config)).classes is None


class Compiled(nn.Module):
    """Holds a module as torch.compile does."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module


@pytest.mark.parametrize("wrap", [nn.DataParallel, Compiled])
def test_wrappers_are_taken_off(wrap):
    checkpoint = open_checkpoint(wrap(Network()))
    assert checkpoint.name == "the module Network"
    assert "low.weight" in checkpoint.state
