import json
import shutil

import numpy as np
import pytest
import torch

from atrous.data import ShapesDataset
from atrous.errors import DataError, MissingExtraError, UsageError
from atrous.evaluate import evaluate
from atrous.export.graphs import build
from atrous.export.run import _facts, _write
from atrous.fast.engines import ExportedModel
from atrous.fast.engines.exported import is_exported
from atrous.predict import Segmenter
from tests.fast.conftest import settle

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def model():
    from atrous.models import create_model

    torch.manual_seed(0)
    classes = ShapesDataset("val", length=1, size=(64, 64)).classes
    return settle(create_model("lraspp", backbone="test_resnet", channels=16, classes=classes))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Exported files, as `atrous export` writes them when its checks are passed."""
    folder = tmp_path_factory.mktemp("exported")
    for name, to, outputs in (("a.xml", "openvino", "coarse_logits"), ("a.onnx", "onnx", "labels")):
        graph = build(model, to=to, outputs=outputs, precision="fp32")
        facts = _facts(model, to=to, outputs=outputs, precision="fp32", license="CC0")
        _write(graph, folder / name, facts)
    return folder


@pytest.mark.parametrize(("name", "engine"), [("a.xml", "openvino"), ("a.onnx", "onnxruntime")])
def test_it_predicts_and_is_evaluated_like_its_network(model, folder, name, engine):
    file = folder / name
    exported = ExportedModel(file)
    assert (exported.name, exported.precision) == (engine, "fp32")
    assert (exported.classes, exported.palette) == (model.classes, model.palette)
    photo = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    expected = Segmenter(model, engine="torch", device="cpu")
    for picture in (photo, photo[:40]):
        found = Segmenter(file)(picture)
        assert found.labels.dtype == np.uint8
        assert (found.labels == expected(picture).labels).mean() > 0.999
        assert found.classes == model.classes
    many = exported.for_many()
    assert many.at_once == (min(4, torch.get_num_threads()) if engine == "openvino" else 1)
    images = torch.from_numpy(photo)[None]
    torch.testing.assert_close(many(images), exported(images), rtol=1e-4, atol=1e-4)
    dataset = ShapesDataset("val", length=2, size=(64, 64))
    scores = [evaluate(one, dataset, device="cpu").scores for one in (exported, model)]
    assert scores[0].pixel_accuracy == pytest.approx(scores[1].pixel_accuracy, abs=1e-3)


def test_words_that_ask_for_something_else_are_refused(folder):
    for words, message in (
        ({"engine": "torch"}, "a.xml: is computed by openvino, not by engine 'torch'"),
        ({"device": "cuda"}, "computes on the CPU, not on cuda"),
        ({"precision": "bf16"}, "computes in fp32, not in bf16"),
        ({"output_stride": 8}, "has the output stride that it was exported with"),
    ):
        with pytest.raises(UsageError, match=message):
            Segmenter(folder / "a.xml", **words)
    assert Segmenter(folder / "a.xml", engine="openvino", device="cpu").engine.name == "openvino"


def test_weights_of_another_file_are_found_out(folder, tmp_path):
    for name in ("a.xml", "a.bin"):
        shutil.copy(folder / name, tmp_path / name)
    content = bytearray((tmp_path / "a.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.bin: is not the one that a\.xml was written with"):
        ExportedModel(tmp_path / "a.xml")
    (tmp_path / "a.bin").unlink()
    with pytest.raises(DataError, match=r"a\.bin: a\.xml needs it"):
        ExportedModel(tmp_path / "a.xml")


def test_files_that_are_none_are_named(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"b\.xml: there is no such file"):
        ExportedModel(tmp_path / "b.xml")
    for name in ("b.xml", "b.bin", "b.onnx"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"b\.xml: is no graph of OpenVINO"):
        ExportedModel(tmp_path / "b.xml")
    with pytest.raises(DataError, match=r"b\.onnx: is no ONNX file that can be run"):
        ExportedModel(tmp_path / "b.onnx")
    with pytest.raises(UsageError, match=r"expected an exported file, \.onnx or \.xml"):
        ExportedModel(tmp_path / "b.pt2")
    monkeypatch.setattr("atrous.fast.engines.exported.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'atrous\[onnx\]'"):
        ExportedModel(folder / "a.onnx")


def test_a_file_of_somebody_else_says_what_it_lacks(folder, tmp_path):
    import onnx

    graph = onnx.load(folder / "a.onnx")
    assert json.loads(graph.metadata_props[0].value)["license"] == "CC0"
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "c.onnx")
    with pytest.raises(DataError, match="expected a file of `atrous export`"):
        ExportedModel(tmp_path / "c.onnx")


def test_models_are_no_exported_files(model):
    assert not any(map(is_exported, ("camvid-lite0", "a.safetensors", "hf:owner/name", model)))
