import pytest
import torch

from atrous.devices import has_fast_bf16
from atrous.errors import DataError
from atrous.fast.engines.openvino_sizes import GraphsBySize, _check_fixed, hint_of

openvino = pytest.importorskip("openvino")


class Graph:
    def infer(self, inputs, **_):
        return inputs


def test_few_graphs_are_kept(monkeypatch):
    monkeypatch.setattr(GraphsBySize, "_compile", lambda *_: Graph())
    run = GraphsBySize(lambda _: None, hint="f32")
    for rows in (1, 2, 3, 4, 1, 5):
        assert run(torch.zeros(2, rows, 5, 3)).shape == (2, rows, 5, 3)
    assert [shape[1] for shape in run._graphs] == [3, 4, 1, 5]


@pytest.mark.parametrize("side", [-1, 4])
def test_8_bit_numbers_never_run_with_a_size_left_open(side):
    ops = openvino.opset13
    images = ops.parameter([1, 3, side, 4], openvino.Type.f32)
    limits = [ops.constant(value, openvino.Type.f32) for value in (0.0, 1.0, 0.0, 1.0)]
    graph = openvino.Model([ops.fake_quantize(images, *limits, 256)], [images])
    if side > 0:
        _check_fixed(graph)
    else:
        with pytest.raises(DataError, match="has no fixed size"):
            _check_fixed(graph)


def test_what_8_bit_graphs_keep_in_float_takes_bfloat16_where_that_is_fast():
    fast = has_fast_bf16(torch.device("cpu"))
    assert hint_of("int8") == ("bf16" if fast else "f32")
    assert [hint_of(name) for name in ("fp32", "bf16", "fp16")] == ["f32", "bf16", "f16"]
