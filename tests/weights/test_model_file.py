import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import atrous
from atrous.errors import DataError, ResourceError, UsageError
from atrous.models import Conventions, Preprocessing, create_model
from atrous.weights import load_model, save_model
from atrous.weights.model_file import FORMAT, digest, read_facts

IMAGE = torch.randn(1, 3, 49, 70, generator=torch.Generator().manual_seed(3))
WEIGHT = "classifier.weight"


def metadata(path: Path) -> dict:
    with safe_open(path, framework="pt") as opened:
        assert list(opened.metadata()) == ["atrous"]
        return json.loads(opened.metadata()["atrous"])


def test_what_is_loaded_is_what_was_saved(model, file):
    loaded = load_model(file)
    assert not loaded.training
    assert torch.equal(loaded(IMAGE), model(IMAGE))
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
    for name in ("classes", "palette", "preprocessing", "blueprint", "output_stride", "rates"):
        assert getattr(loaded, name) == getattr(model, name), name


def test_the_names_are_public():
    assert atrous.load_model is load_model
    assert atrous.save_model is save_model


@pytest.mark.parametrize("architecture", ["deeplabv3", "deeplabv3plus"])
def test_every_architecture_can_be_saved(architecture, tmp_path):
    model = create_model(architecture, backbone="test_resnet", num_classes=2, in_channels=4).eval()
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    image = torch.randn(1, 4, 33, 33)
    assert torch.equal(loaded(image), model(image))


DEFAULTS = {
    "pyramid": "aspp",
    "multi_grid": None,
    "kernel_size": 3,
    "channels": None,
    "shared_kernel": False,
    "image_pooling": True,
    "aux_head": False,
    "scales": [1.0],
    "conventions": Conventions().model_dump(mode="json"),
    "trained_output_stride": None,
}


def test_the_metadata_says_everything(model, file):
    facts = metadata(file)
    assert facts == {
        "format": "atrous-model-1",
        "model": {
            "architecture": "deeplabv3plus",
            "backbone": "test_resnet",
            "num_classes": 3,
            "output_stride": 8,
            "rates": [1, 2],
            "separable": True,
            "separable_decoder": True,
            "dropout": 0.25,
            "in_channels": 3,
            **DEFAULTS,
        },
        "classes": ["sky", "road", "tree"],
        "palette": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        "preprocessing": {
            "mean": list(model.preprocessing.mean),
            "std": list(model.preprocessing.std),
        },
        "training": {"mean_iou": 0.5},
        "license": "Apache-2.0",
        "sha256": digest(model.state_dict()),
    }
    assert read_facts(file).model_dump(mode="json") == facts


def test_the_same_model_makes_the_same_bytes(model, file, tmp_path):
    again = save_model(model, tmp_path / "a", training={"mean_iou": 0.5}, license="Apache-2.0")
    assert again.read_bytes() == file.read_bytes()
    loaded = save_model(
        load_model(file), tmp_path / "b", training={"mean_iou": 0.5}, license="Apache-2.0"
    )
    assert loaded.read_bytes() == file.read_bytes()


def test_saving_leaves_the_model_as_it_is(model, tmp_path):
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2).train()
    model.to(memory_format=torch.channels_last)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    save_model(model, tmp_path / "model.safetensors", dtype=torch.float16)
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_float16_takes_half_the_space_and_is_float32_again_when_read(model, file, tmp_path):
    half = save_model(model, tmp_path / "half.safetensors", dtype=torch.float16)
    assert half.stat().st_size == pytest.approx(file.stat().st_size / 2, rel=0.05)
    loaded = load_model(half)
    state = loaded.state_dict()
    for key, tensor in model.state_dict().items():
        assert state[key].dtype == tensor.dtype
        assert torch.equal(state[key], tensor.half().to(tensor.dtype)), key
    assert (loaded(IMAGE) - model(IMAGE)).abs().max() < 0.02


def test_what_float16_cannot_hold_stays_float32(model, tmp_path):
    large = create_model("deeplabv3", backbone="test_resnet", num_classes=2).eval()
    norm = large.pyramid.image[1]
    norm.running_var.fill_(1e6)  # float16 ends at 65504
    loaded = load_model(save_model(large, tmp_path / "a", dtype=torch.float16))
    assert torch.equal(loaded.pyramid.image[1].running_var, norm.running_var)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bfloat16])
def test_other_types_are_refused(model, tmp_path, dtype):
    with pytest.raises(UsageError, match="stored as float32 or float16, not as torch"):
        save_model(model, tmp_path / "model.safetensors", dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "blocked").write_text("not a folder")
    with pytest.raises(ResourceError, match=r"blocked/model\.safetensors: cannot be written"):
        save_model(model, tmp_path / "blocked" / "model.safetensors")


def test_preprocessing_is_kept(tmp_path):
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2)
    model.preprocessing = Preprocessing((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert loaded.preprocessing == model.preprocessing


def test_a_forged_file_is_read_when_nothing_is_wrong_with_it(forge, model):
    # So that what is refused below is refused for the one thing that differs.
    assert torch.equal(load_model(forge())(IMAGE), model(IMAGE))


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def damaged(tmp_path, file):
    """Write one of several files that are no model file, and say which."""
    content = file.read_bytes()
    contents = {
        "empty": b"",
        "short": content[:7],
        "half": content[: len(content) // 2],
        "one byte short": content[:-1],
        "one byte more": content + b"\0",
        "random": bytes(torch.randint(0, 256, (4096,), dtype=torch.uint8).tolist()),
        "huge header": (2**62).to_bytes(8, "little") + content[8:],
        "pickle": pickle.dumps({"weight": Trap(tmp_path / "sprung")}),
        "text": b"<!DOCTYPE html><html>not found</html>" * 50,
    }

    def write(kind: str) -> Path:
        path = tmp_path / "model.safetensors"
        path.write_bytes(contents[kind])
        return path

    return write


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "short",
        "half",
        "one byte short",
        "one byte more",
        "random",
        "huge header",
        "pickle",
        "text",
    ],
)
@pytest.mark.parametrize("read", [load_model, read_facts])
def test_what_is_no_model_file_is_refused(damaged, tmp_path, kind, read):
    path = damaged(kind)
    with pytest.raises(DataError, match=r"not a model file \(.*expected a \.safetensors") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_of_torch_is_refused_and_not_unpickled(tmp_path):
    path = tmp_path / "model.safetensors"
    torch.save({"weight": Trap(tmp_path / "sprung")}, path)
    with pytest.raises(DataError, match="not a model file"):
        load_model(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["nowhere.safetensors", "folder.safetensors"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(DataError, match="no such file; expected a model file") as caught:
        load_model(str(tmp_path / name))
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("facts", [None, {}, {"format": "pt"}])
def test_a_file_of_another_program_is_refused(tmp_path, facts):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=facts)
    with pytest.raises(DataError, match="a safetensors file, but not one that atrous wrote"):
        load_model(path)


BLUEPRINT = {
    "architecture": "deeplabv3plus",
    "backbone": "test_resnet",
    "num_classes": 3,
    "output_stride": 8,
    "rates": [1, 2],
    "separable": True,
    "separable_decoder": True,
    "dropout": 0.25,
    "in_channels": 3,
}
CHANNELS = {"mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "atrous-model-2"},
            f"format: this atrous reads '{FORMAT}', got 'atrous-model-2'",
        ),
        ({"format": "atrous-model-2", "new": 1}, f"format: this atrous reads '{FORMAT}'"),
        ({"without": "format"}, "format: Field required"),
        ({"without": "sha256"}, "sha256: Field required"),
        ({"without": "classes"}, "classes: Field required"),
        ({"_target_": "os.system"}, "_target_: Extra inputs are not permitted"),
        ({"model": BLUEPRINT | {"_target_": "os.system"}}, "model._target_: Extra inputs"),
        ({"model": BLUEPRINT | {"num_classes": 10**9}}, "model.num_classes: should be less than"),
        ({"model": BLUEPRINT | {"num_classes": -1}}, "model.num_classes: should be greater than"),
        ({"model": BLUEPRINT | {"num_classes": 65535}}, "has 65535 classes, got 3 names"),
        ({"model": BLUEPRINT | {"num_classes": "many"}}, "model.num_classes: should be a valid"),
        ({"model": BLUEPRINT | {"rates": [1] * 65}}, "model.rates: Tuple should have at most 64"),
        ({"model": BLUEPRINT | {"rates": [10**20]}}, "model.rates.0.constrained-int: "),
        (
            {"model": BLUEPRINT | {"output_stride": -8}},
            "output_stride must be 4, 8, 16 or 32, got -8",
        ),
        (
            {"model": BLUEPRINT | {"trained_output_stride": 10**9}},
            "model.trained_output_stride: should be 4, 8, 16 or 32",
        ),
        ({"model": BLUEPRINT | {"dropout": 1}}, "model.dropout: should be less than 1"),
        (
            {"model": BLUEPRINT | {"architecture": "os.system"}},
            "architecture 'os.system' is unknown",
        ),
        (
            {"model": BLUEPRINT | {"backbone": "os.system"}},
            "backbone 'os.system' is unknown to timm",
        ),
        ({"model": BLUEPRINT | {"backbone": "hf-hub:a/b"}}, "backbone 'hf-hub:a/b' is unknown"),
        ({"model": []}, "model: "),
        ({"classes": ["sky", "road"]}, "has 3 classes, got 2 names"),
        ({"classes": ["sky", "road", "sky"]}, "'sky' is used twice"),
        ({"classes": [1, 2, 3]}, "classes.0: should be a valid string"),
        ({"palette": [[0, 0, 0]]}, "got 3 names and 1 colours"),
        ({"palette": [[0, 0, 256], [1, 1, 1], [2, 2, 2]]}, "colour (0, 0, 256) is not"),
        ({"palette": [[0, 0]] * 3}, "palette.0.2: Field required"),
        ({"preprocessing": CHANNELS | {"std": [0.5, 0.0, 0.5]}}, "must be finite, std above 0"),
        ({"preprocessing": CHANNELS | {"mean": [float("nan")] * 3}}, "must be finite"),
        ({"preprocessing": CHANNELS | {"mean": [0.5]}}, "mean has 1 channels, std 3"),
        ({"preprocessing": {"mean": [0.5], "std": [0.5]}}, "1 channels for a network of 3"),
        ({"preprocessing": CHANNELS | {"_target_": 1}}, "preprocessing._target_: "),
        ({"training": "os.system"}, "training: should be"),
    ],
)
def test_metadata_that_is_not_as_it_should_be_is_refused(forge, changes, message):
    path = forge(**changes)
    with pytest.raises(DataError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: its metadata ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "__import__('os')"])
def test_metadata_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"atrous": text})
    with pytest.raises(DataError, match=r"model\.safetensors: its metadata cannot be read: "):
        load_model(path)


def test_a_flipped_bit_is_noticed(file, tmp_path):
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.safetensors: the tensors are not those that were"):
        load_model(path)


def test_tensors_that_were_exchanged_are_noticed(forge, model):
    with pytest.raises(DataError, match="the tensors are not those that were saved"):
        load_model(
            forge(
                tensors={WEIGHT: torch.zeros_like(model.classifier.weight)},
                sha256=digest(model.state_dict()),
            )
        )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({WEIGHT: None}, "1 tensors do not fit: classifier.weight is missing"),
        ({"a.b": torch.zeros(1)}, "1 tensors do not fit: a.b is not part of the network"),
        (
            {WEIGHT: torch.zeros(3, 255, 1, 1)},
            r"has shape \(3, 255, 1, 1\), expected \(3, 256, 1, 1",
        ),
        ({WEIGHT: torch.full((3, 256, 1, 1), torch.nan)}, "classifier.weight has values that are"),
        ({WEIGHT: torch.full((3, 256, 1, 1), torch.inf)}, "classifier.weight has values that are"),
        (
            {WEIGHT: torch.zeros(3, 256, 1, 1).long()},
            "has type torch.int64, expected torch.float32",
        ),
        ({WEIGHT: torch.zeros(3, 256, 1, 1).cfloat()}, "has type torch.complex64, expected torch."),
        ({WEIGHT: torch.zeros(3, 256, 1, 1).to(torch.float8_e5m2)}, "has type torch.float8_e5m2"),
        ({WEIGHT: None, "a.b": torch.zeros(1)}, "2 tensors do not fit: a.b .*; classifier.weight"),
    ],
)
def test_tensors_that_do_not_fit_the_network_are_refused(forge, tensors, message):
    with pytest.raises(DataError, match=message) as caught:
        load_model(forge(tensors=tensors))
    assert str(caught.value).partition(": ")[0].endswith("forged.safetensors")


@pytest.mark.parametrize("backbone", ["resnetblur18", "mobilenetv3_small_050", "convnext_atto"])
def test_what_is_built_without_values_computes_the_same(backbone, tmp_path):
    # The kernel of a fixed blur is in no file.
    model = create_model("deeplabv3", backbone=backbone, num_classes=2, output_stride=8).eval()
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert torch.equal(loaded(IMAGE), model(IMAGE))
    assert all(weight.requires_grad for weight in loaded.parameters())
    assert all(weight.is_leaf for weight in loaded.parameters())


def test_the_digest_is_of_names_shapes_types_and_values():
    state = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor(3)}
    assert digest(state) == digest({"b": state["b"], "a": state["a"]})
    others = [
        {"a": state["a"], "c": state["b"]},
        {"a": state["a"].T.contiguous(), "b": state["b"]},
        {"a": state["a"].double(), "b": state["b"]},
        {"a": state["a"] + 1, "b": state["b"]},
        {"a": state["a"]},
    ]
    assert len({digest(other) for other in [state, *others]}) == 6
    turned = torch.arange(6.0).view(2, 3)
    assert digest({"a": turned.T}) == digest({"a": turned.T.contiguous()})
