import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from atrous.devices import has_fast_bf16
from atrous.errors import DataError
from atrous.fast.engines.openvino_sizes import GraphsBySize, _check_fixed, hint_of

openvino = pytest.importorskip("openvino")


class Graph:
    def create_infer_request(self):
        return self

    def infer(self, inputs, **_):
        return inputs


def test_few_graphs_are_kept(monkeypatch):
    monkeypatch.setattr(GraphsBySize, "_compile", lambda *_: Graph())
    run = GraphsBySize(lambda _: None, hint="f32")
    for rows in (1, 2, 3, 4, 1, 5):
        assert run(torch.zeros(2, rows, 5, 3)).shape == (2, rows, 5, 3)
    assert [shape[1] for shape in run._requests] == [3, 4, 1, 5]


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


def test_many_are_computed_at_once(monkeypatch):
    meeting, requests = threading.Barrier(2, timeout=30), []

    class Request:
        def infer(self, inputs, **_):
            meeting.wait()
            return inputs

    class Compiled:
        def create_infer_request(self):
            requests.append(Request())
            return requests[-1]

    monkeypatch.setattr(GraphsBySize, "_compile", lambda *_: Compiled())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    run = GraphsBySize(lambda _: None, hint="f32").for_many()
    assert run.at_once == 2
    pictures = [torch.full((1, 2, 2, 3), number) for number in range(8)]
    with ThreadPoolExecutor(2) as pool:
        assert all(map(torch.equal, pool.map(run, pictures), pictures))
    assert len(requests) == 2


def test_no_more_at_once_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert GraphsBySize(lambda _: None, hint="f32").for_many().at_once == 4
