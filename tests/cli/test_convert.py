import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from atrous.cli import main
from atrous.weights import load_model


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    network = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2)
    network.train()(torch.randn(2, 3, 64, 64))
    return network.state_dict()


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "theirs.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def converted(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "ours.safetensors"
    assert main(["convert", str(checkpoint), "--out", str(path), "--classes", "sky", "road"]) == 0
    return path


def test_a_model_file_is_written_and_the_report_printed(checkpoint, tmp_path, capsys):
    out = tmp_path / "new" / "ours.safetensors"
    assert main(["convert", str(checkpoint), "--out", str(out)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    lines = output.out.splitlines()
    assert lines[0].split() == ["origin", "torchvision"]
    assert lines[-3].startswith("agreement     checked against torchvision 0.")
    assert lines[-1] == f"wrote {out}"
    assert load_model(out).blueprint.architecture == "lraspp"


def test_classes_are_named(converted):
    assert load_model(converted).classes == ("sky", "road")


def test_inspect_shows_the_agreement(converted, capsys):
    assert main(["inspect", str(converted), "--size", "64x64"]) == 0
    head = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert len(head) == 4
    assert head[2].startswith("converted from torchvision, checked against torchvision 0.")
    assert head[3].startswith("logits of up to ")
    assert head[3].endswith(" % of the pixels have the same class")


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_and_back(state, converted, tmp_path, capsys, ending):
    out = tmp_path / f"theirs{ending}"
    assert main(["convert", str(converted), "--to", "torchvision", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}: {len(state)} tensors for torchvision\n"
    back = torch.load(out, weights_only=True) if ending == ".pth" else load_file(out)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.pth"], 3, "nowhere.pth: no such file; expected a checkpoint"),
        (["CHECKPOINT", "--classes", "a"], 2, "its classes: the model has 2 classes, got 1 names"),
        (["CHECKPOINT", "--out", "model.pth"], 2, "model.pth: a model file ends in .safetensors"),
        (["MODEL"], 3, "a model file of atrous already"),
        (["MODEL", "--to", "smp"], 3, "smp is not installed here, or has no lraspp on"),
        (["MODEL", "--to", "vainf"], 2, "library 'vainf' is unknown here; use torchvision or smp"),
        (["MODEL", "--to", "smp", "--rates", "6"], 2, "--rates is of no use with --to"),
        (["MODEL", "--to", "torchvision", "--out", "a.bin"], 2, "a.bin: a state dict is written"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    words, code, said, checkpoint, converted, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    paths = {"CHECKPOINT": str(checkpoint), "MODEL": str(converted)}
    words = [paths.get(word, word) for word in words]
    out = [] if "--out" in words else ["--out", "model.safetensors"]
    assert main(["convert", *words, *out]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_name_with_control_characters_is_shown_escaped(state, tmp_path, capsys):
    from atrous.weights import convert, save_model

    model, report = convert({"model": state, "\x1b[2J\nx": 3})
    facts = report.to_json() | {"origin": "\x1b[2J", "verdict": "a\x1b: b"}
    path = save_model(model, tmp_path / "a.safetensors", training={"converted": facts})
    assert main(["inspect", str(path), "--size", "64x64"]) == 0
    assert "\x1b" not in capsys.readouterr().out
