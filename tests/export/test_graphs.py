import pytest

from atrous.export.graphs import build, rates_of
from atrous.export.proof import prove

pytest.importorskip("onnx")
pytest.importorskip("openvino")


@pytest.mark.parametrize(
    ("to", "endings"),
    [("torch", [".pt2"]), ("onnx", [".onnx"]), ("openvino", [".bin", ".xml"])],
)
def test_it_is_written_and_computes_the_same_at_every_size(model, tmp_path, to, endings):
    graph = build(model, to=to, outputs="logits", precision="fp32")
    rates = rates_of(model), graph.rates()
    files = graph.files({"word": "sky"}, folder=tmp_path)
    assert list(files) == endings
    assert b"sky" in files[endings[-1]]
    assert not list(tmp_path.iterdir())
    words = {"outputs": "logits", "precision": "fp32", "rates": rates}
    proof = prove(model, graph.start(files), **words)
    assert proof.relative < 1e-4
    assert len(set(proof.shapes)) == 12


def test_the_rates_of_an_auxiliary_head_do_not_count(model):
    before = rates_of(model)
    model.auxiliary = type(model.classifier)(3, 3, 3, dilation=7)
    assert rates_of(model) == before
