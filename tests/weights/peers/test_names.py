import pkgutil
from importlib import import_module

import pytest
import torch

from atrous.errors import DataError
from atrous.models import create_model
from atrous.weights import peers
from atrous.weights.peers.names import (
    aspp_names,
    block_names,
    count,
    put_deep_map_first,
    refuse,
    rename,
    resnet_of,
)

# A few names of each library's networks, where a network of another has the like.
SAMPLES = {
    "torchvision": ("classifier.0.convs.0.0", "classifier.0.project.0", "classifier.4"),
    "smp": ("encoder.conv1", "decoder.aspp.0.convs.0.0", "decoder.block1.0"),
    "huggingface": ("segmentation_head.aspp.project.convolution", "segmentation_head.classifier"),
    "kazuto1011": ("base.layer1.conv1.conv", "base.aspp.c0"),
    "mmsegmentation": ("decode_head.aspp_modules.0.conv", "decode_head.image_pool.1.conv"),
    "vainf": ("classifier.aspp.convs.0.0", "classifier.project.0", "classifier.classifier.3"),
    "jfzhang95": ("aspp.aspp1.atrous_conv", "aspp.conv1", "decoder.conv1", "decoder.last_conv.8"),
    "detectron2": ("sem_seg_head.decoder.res5.project_conv.convs.0", "sem_seg_head.predictor"),
    "paddleseg": ("head.aspp.aspp_blocks.0._conv", "head.decoder.conv"),
}
V3_SAMPLES = {
    "smp": ("encoder.conv1", "decoder.aspp.convs.0.0", "decoder.conv"),
    "kazuto1011": ("layer1.conv1.conv", "aspp.stages.c0.conv", "fc1.conv"),
    "vainf": ("classifier.classifier.0.convs.0.0", "classifier.classifier.1"),
    "detectron2": ("sem_seg_head.aspp.convs.0", "sem_seg_head.predictor"),
    "paddleseg": ("head.aspp.aspp_blocks.0._conv", "head.cls"),
}


def who_recognises(state):
    names = [found.name for found in pkgutil.iter_modules(peers.__path__)]
    modules = {name: import_module(f"{peers.__name__}.{name}") for name in names}
    libraries = {name: module for name, module in modules.items() if hasattr(module, "recognises")}
    assert libraries.keys() >= SAMPLES.keys()
    return [name for name, library in libraries.items() if library.recognises(state)]


@pytest.mark.parametrize(("library", "names"), [*SAMPLES.items(), *V3_SAMPLES.items()])
def test_no_library_takes_another_for_its_own(library, names):
    state = {f"{name}.weight": torch.zeros(8, 8, 1, 1) for name in names}
    assert who_recognises(state) == [library]


@pytest.mark.parametrize("architecture", ["deeplabv3", "deeplabv3plus", "deeplabv2", "lraspp"])
def test_our_own_networks_are_no_librarys(architecture):
    model = create_model(architecture, backbone="resnet18", num_classes=2)
    assert who_recognises(model.state_dict()) == []


def test_the_longest_prefix_names_a_tensor():
    state = {"a.b.weight": torch.zeros(1), "a.c.weight": torch.ones(1), "scale": torch.ones(2)}
    renamed = rename(state, {"a": "x", "a.b": "y.0", "scale": "z"})
    assert list(renamed) == ["y.0.weight", "x.c.weight", "z"]
    assert renamed["x.c.weight"] is state["a.c.weight"]


def test_a_prefix_ends_at_a_dot_only():
    with pytest.raises(DataError, match=r"1 tensors have no place in the network: ab\.weight"):
        rename({"ab.weight": torch.zeros(1), "a.weight": torch.zeros(1)}, {"a": "x"})


def test_branches_are_told_by_their_numbers():
    names = aspp_names("aspp", "pyramid", num_rates=2)
    assert names["aspp.convs.0"] == "pyramid.point"
    assert [names[f"aspp.convs.{k}"] for k in (1, 2)] == ["pyramid.atrous.0", "pyramid.atrous.1"]
    assert [names[f"aspp.convs.3.{k}"] for k in (1, 2)] == ["pyramid.image.0", "pyramid.image.1"]


def test_counting_stops_at_the_first_gap():
    assert count({"a.0.w", "a.1.w", "a.3.w"}, "a.{}.w") == 2
    assert count({"a.1.w"}, "a.{}.w") == 0


def test_blocks_are_counted_through_the_stages():
    assert block_names((1, 2)) == ["blocks.0.0", "blocks.1.0", "blocks.1.1"]


@pytest.mark.parametrize(
    ("number", "name"), [(6, "resnet50"), (23, "resnet101"), (36, "resnet152")]
)
def test_the_third_stage_tells_the_resnet(number, name):
    assert (
        resnet_of({f"layer3.{k}.w": torch.zeros(1) for k in range(number)}, "layer3.{}.w") == name
    )


def test_other_numbers_of_bottlenecks_are_refused():
    with pytest.raises(DataError, match="has 2 bottlenecks in its third stage"):
        resnet_of({f"layer3.{k}.w": torch.zeros(1) for k in range(2)}, "layer3.{}.w")


def test_a_refusal_gives_the_reason_of_what_is_there():
    refuse({"backbone.a"}, {"backbone.b": "B", "a": "A"})
    with pytest.raises(DataError, match=r"^cannot be converted: B$"):
        refuse({"backbone.block"}, {"backbone.a": "A", "backbone.b": "B"})


@pytest.mark.parametrize("separable", [False, True])
def test_the_maps_of_a_decoder_change_places(separable):
    early, deep = torch.arange(2.0), torch.arange(10.0, 14.0)
    before, after = torch.cat([early, deep]), torch.cat([deep, early])
    state = {"decoder.reduce.0.weight": torch.zeros(2, 1), "pyramid.project.0.weight": deep}
    if separable:
        state |= {
            "decoder.refine.0.0.weight": before.view(6, 1, 1, 1),
            "decoder.refine.0.1.running_mean": before,
            "decoder.refine.0.1.num_batches_tracked": torch.tensor(3),
            "decoder.refine.0.3.weight": before.view(1, 6, 1, 1),
        }
    else:
        state |= {"decoder.refine.0.0.weight": before.view(1, 6, 1, 1)}
    others = {"decoder.refine.1.0.weight": before.view(1, 6, 1, 1)}
    ordered = put_deep_map_first(state | others)
    for key, tensor in state.items():
        changed = tensor.numel() == 6
        assert torch.equal(ordered[key], after.view(tensor.shape) if changed else tensor)
    assert torch.equal(ordered["decoder.refine.1.0.weight"].flatten(), before)
