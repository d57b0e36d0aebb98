import json

import numpy as np
import pytest
import torch

import atrous.export.run
from atrous.errors import DataError, UsageError
from atrous.export import export


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


def test_int8_keeps_more_in_float_until_it_loses_little(model, tmp_path, monkeypatch):
    levels = []

    def quantized(graph, images, *, level):
        levels.append(level)
        return graph

    class Drop:
        lost = property(lambda self: 0.01 if levels[-1] < 1 else 0.0)

        def to_json(self):
            return {}

    monkeypatch.setitem(atrous.export.run.PRECISIONS, "torch", ("fp32", "int8"))
    monkeypatch.setattr(atrous.export.run, "quantized", quantized)
    monkeypatch.setattr(atrous.export.run, "score_drop", lambda *_: Drop())
    images = [np.zeros((8, 8, 3), dtype=np.uint8)]
    export(
        *(model, tmp_path / "a.pt2"),
        to="torch",
        precision="int8",
        calibration=images,
        dataset=object(),
    )
    assert levels == [0, 1]
