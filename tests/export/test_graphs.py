import numpy as np
import pytest

from atrous.export.graphs import build, rates_of

pytest.importorskip("onnx")
pytest.importorskip("openvino")
IMAGES = np.random.default_rng(0).integers(0, 256, (1, 65, 97, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("to", "endings"),
    [("torch", [".pt2"]), ("onnx", [".onnx"]), ("openvino", [".bin", ".xml"])],
)
def test_it_is_written_and_opened_again(model, tmp_path, to, endings):
    graph = build(model, to=to, outputs="labels", precision="fp32")
    assert graph.rates() == rates_of(model) >= {(6, 6), (12, 12), (18, 18)}
    files = graph.files({"word": "sky"}, folder=tmp_path)
    assert list(files) == endings
    assert b"sky" in files[endings[-1]]
    assert not list(tmp_path.iterdir())
    labels = graph.start(files)(IMAGES)
    assert labels.shape == (1, 65, 97)
    assert labels.dtype == np.uint8


def test_the_rates_of_an_auxiliary_head_do_not_count(model):
    before = rates_of(model)
    model.auxiliary = type(model.classifier)(3, 3, 3, dilation=7)
    assert rates_of(model) == before
