import json
import os

import pytest
import torch

import atrous.export.proof
import atrous.export.run
from atrous.data import Sample
from atrous.errors import DataError, ResourceError, UsageError
from atrous.export import export
from atrous.export.quantize import quantized
from atrous.models import create_model
from tests.fast.conftest import settle


def test_what_is_written_is_proved_and_says_what_it_is(model, tmp_path):
    done = export(model, tmp_path / "new" / "model.pt2", to="torch", license="CC0")
    assert [file.name for file in done.files] == ["model.pt2"]
    facts = {"atrous.json": ""}
    run = torch.export.load(done.files[0], extra_files=facts).module()
    assert run(torch.zeros(2, 33, 50, 3, dtype=torch.uint8)).shape == (2, 33, 50)
    facts = json.loads(facts["atrous.json"])
    assert facts == json.loads(json.dumps(done.facts))
    assert facts["classes"] == ["sky", "road", "car"]
    assert facts["license"] == "CC0"
    assert facts["proof"]["equal_labels"] > 0.999
    assert len(facts["source_sha256"]) == 64


def test_an_export_that_fails_its_check_leaves_no_file(model, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise DataError("the export computes something else")

    monkeypatch.setattr(atrous.export.run, "prove", refuse)
    with pytest.raises(DataError, match="computes something else"):
        export(model, tmp_path / "model.pt2", to="torch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "words", "message"),
    [
        ("a.pt2", {"to": "tflite"}, "no export to 'tflite'; use onnx, openvino, torch"),
        ("a.pt2", {"to": "onnx"}, "a file for onnx ends in .onnx"),
        ("a.onnx", {"to": "onnx", "precision": "bf16"}, "'bf16' is not there for onnx"),
        ("a.onnx", {"to": "onnx", "outputs": "masks"}, "outputs 'masks' is unknown"),
        ("a.xml", {"to": "openvino", "precision": "int8"}, "give some for calibration"),
    ],
)
def test_words_that_do_not_go_together_are_refused(model, tmp_path, out, words, message):
    with pytest.raises(UsageError, match=message):
        export(model, tmp_path / out, **words)


class Photographs:
    """Noise, and what a network sees in it: the network is right, and what differs from it wrong.

    An export that loses nothing has a mean IoU of 1.
    """

    name, classes = "noise", ("sky", "road", "car")

    def __init__(self, model, images):
        self._samples = [Sample(image, self._seen(model, image), "noise") for image in images]

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, number):
        return self._samples[number]

    @staticmethod
    @torch.inference_mode()
    def _seen(model, image):
        stored = torch.from_numpy(image).permute(2, 0, 1)[None]
        return model(model.preprocessing(stored)).argmax(1)[0].byte().numpy()


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
def test_int8_keeps_more_in_float_until_it_loses_little(model, images, harm, tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    harm(settle(model))
    with torch.no_grad():  # so that all classes occur
        stored = torch.from_numpy(images[0]).permute(2, 0, 1)[None]
        model.classifier.bias -= model(model.preprocessing(stored)).mean((0, 2, 3))
    tried = []

    def noted(graph, images, *, spared):
        tried.append(spared)
        return quantized(graph, images, spared=spared)

    monkeypatch.setattr(atrous.export.run, "quantized", noted)
    # Of noise, where classes lie close everywhere, 8 bits move more than of photographs.
    monkeypatch.setattr(atrous.export.run, "LARGEST_LOSS", 0.15)
    monkeypatch.setattr(atrous.export.proof, "SHAPES", ((1, 65, 65),))
    words = {"to": "openvino", "precision": "int8", "calibration": images}
    done = export(model, tmp_path / "a.xml", dataset=Photographs(model, images), **words)
    assert len(tried) > 1
    assert "backbone.network.layer4.0.conv2" in tried[-1]
    assert done.drop.before == 1
    assert 0 < done.drop.lost <= 0.15

    monkeypatch.setattr(atrous.export.run, "LARGEST_LOSS", -1.0)
    monkeypatch.setattr(atrous.export.run, "spared_layers", lambda *_: iter(tried[-1:]))
    with pytest.raises(DataError, match=r"int8 harms this network: .* points of mean IoU are lost"):
        export(model, tmp_path / "b.xml", dataset=Photographs(model, images), **words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]


@pytest.mark.parametrize("dies", [".bin", ".xml"])
def test_a_graph_is_never_there_without_its_weights(model, tmp_path, monkeypatch, dies):
    class Graph:
        def files(self, *_, **__):
            return {".bin": b"new", ".xml": b"new"}

    for ending in (".bin", ".xml"):
        (tmp_path / f"a{ending}").write_bytes(b"old")
    replace = os.replace

    def die(source, target):
        if str(target).endswith(dies):
            raise OSError("the power is gone")
        replace(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(ResourceError):
        atrous.export.run._write(Graph(), tmp_path / "a.xml", {})
    assert (tmp_path / "a.xml").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]


@pytest.mark.parametrize("to", ["torch", "onnx"])
def test_a_decoder_with_aligned_corners_is_exported(to, tmp_path):
    torch.manual_seed(0)
    model = create_model(
        "deeplabv3plus",
        backbone="test_resnet",
        num_classes=3,
        channels=8,
        conventions={"align_corners": True},
    )
    ending = {"torch": ".pt2", "onnx": ".onnx"}[to]
    exported = export(settle(model), tmp_path / f"decoder{ending}", to=to)
    assert min(side for shape in exported.proof.shapes for side in shape[1:]) == 5
