from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from atrous.errors import UsageError
from atrous.fast import optimize
from atrous.fast.engines.openvino_engine import OpenVINOEngine
from atrous.fast.engines.torch_engine import TorchEngine

pytest.importorskip("openvino")

CPU = torch.device("cpu")


def difference(logits, expected):
    assert logits.shape == expected.shape
    assert logits.dtype == torch.float32
    return ((logits - expected).abs().max() / expected.abs().max()).item()


def test_its_logits_are_those_of_torch_at_every_size(make, images):
    model = make("deeplabv3plus").train()
    engine, torch_engine = OpenVINOEngine(model), TorchEngine(model, device=CPU)
    # The same size again runs the same graph; nothing that was given before changes by that.
    first = engine(images)
    kept = first.clone()
    for pictures in (images.flip(0), images[:1, :20, ::2]):
        assert difference(engine(pictures), torch_engine(pictures)) < 1e-4
    assert torch.equal(first, kept)
    assert model.training


def test_bfloat16_is_close_by(make, images):
    model = make(output_stride=8)
    engine = OpenVINOEngine(model, precision="bf16")
    assert engine.precision == "bf16"
    assert difference(engine(images), TorchEngine(model, device=CPU)(images)) < 0.1


def test_an_optimized_model_does_unless_it_holds_for_less(make, images):
    model = make()
    fast = optimize(model)
    assert OpenVINOEngine(fast)._network.model is not fast.network
    for keywords in ({"precision": "bf16"}, {"size": (65, 65)}):
        with pytest.raises(UsageError, match="give the engine 'openvino' the one it was made from"):
            OpenVINOEngine(optimize(model, **keywords))


def test_for_many_computes_the_same(make, images):
    engine = OpenVINOEngine(make())
    many = engine.for_many()
    assert (engine.at_once, many.at_once) == (1, min(4, torch.get_num_threads()))
    with ThreadPoolExecutor(2) as pool:
        for logits in pool.map(many, [images] * 4):
            assert difference(logits, engine(images)) < 1e-5
