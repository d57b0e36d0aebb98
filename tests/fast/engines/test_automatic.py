import time

import pytest
import torch

from atrous.fast import optimize
from atrous.fast.engines import AutomaticEngine
from atrous.fast.engines.timings import Timing, recall

CPU = torch.device("cpu")


class Rival:
    """An engine that takes, and gives, what a test wants."""

    precision = "fp32"

    def __init__(self, name, model, *, seconds=0.0, off_by=0.0, pictures=99):
        self.name, self._model, self._seconds, self._off_by = name, model, seconds, off_by
        self._pictures = pictures

    def __call__(self, images):
        self._pictures -= 1
        if self._pictures < 0:
            raise ValueError("out of paper")
        time.sleep(self._seconds)
        return self._model.coarse_logits(images) + self._off_by


@pytest.fixture
def auto(make, monkeypatch, cache):
    """An automatic engine that takes 50 ms, and rivals; notes which of them are opened."""
    network = optimize(make())

    def build(*, patience=0.0, rivals=("openvino",), precision="fp32", unopened=(), **rival):
        def open_engine(name, *_, **__):
            build.opened.append(name)
            if name in unopened:
                raise OSError("there is no compiler")
            return Rival(name, network, **rival)

        monkeypatch.setattr("atrous.fast.engines.automatic.available", lambda *_: rivals)
        monkeypatch.setattr("atrous.fast.engines.automatic.open_engine", open_engine)
        engine = AutomaticEngine(
            make(), device=CPU, cache=cache, patience=patience, precision=precision
        )
        fast = engine.model.coarse_logits
        engine.model.coarse_logits = lambda images: time.sleep(0.05) or fast(images)
        return engine

    build.opened = []
    return build


def test_one_picture_waits_for_no_comparison(auto, images):
    engine = auto()
    assert engine(images).shape == (2, 3, 3, 4)
    assert engine.name == "optimized"
    assert not auto.opened


def test_many_pictures_of_a_size_go_to_the_fastest(auto, images):
    engine, names = auto(), []
    for pictures in (images, images, images, images[:, :30]):
        engine(pictures)
        names.append(engine.name)
    assert names == ["optimized", "openvino", "openvino", "optimized"]


def test_patience_is_in_seconds_of_one_size(auto, images):
    engine = auto(patience=1e6)
    for _ in range(2):
        engine(images)
        engine(images[:, :30])
    engine._sizes[2, 30, 57].spent = 2e6
    engine(images)
    assert not auto.opened
    engine(images[:, :30])
    assert auto.opened == ["openvino"]


def test_all_that_are_installed_are_tried_those_that_open_slowly_later(auto, images):
    engine = auto(patience=1e3, rivals=("optimized", "compiled", "onnxruntime", "openvino"))
    engine(images)
    opened = []
    for seconds in (1e3, 4e3, 8e3):
        engine._sizes[2, 41, 57].spent = seconds
        engine(images)
        opened.append(tuple(auto.opened))
    assert [names[-1] for names in opened] == ["openvino", "onnxruntime", "compiled"]
    assert len(opened[-1]) == 3


@pytest.mark.parametrize(
    "keywords",
    [
        {"seconds": 0.2},
        {"off_by": 1.0},
        {"off_by": float("nan")},
        {"off_by": float("nan"), "precision": "bf16"},
        {"off_by": torch.tensor([9.0, 0, 0]).view(3, 1, 1), "precision": "bf16"},
        {"pictures": 0},
        {"unopened": ("openvino",)},
    ],
)
def test_a_rival_that_is_slow_or_wrong_or_fails_is_not_taken(auto, images, keywords):
    engine = auto(**keywords)
    for _ in range(3):
        assert engine(images).isfinite().all()
    assert engine.name == "optimized"
    assert auto.opened == ["openvino"]


def test_one_that_fails_later_is_given_up(auto, images):
    engine = auto(pictures=6)  # one to compare, three in the race, and these two
    for _ in range(3):
        engine(images)
    assert engine.name == "openvino"
    for _ in range(2):
        assert engine(images).isfinite().all()
        assert engine.name == "optimized"
    assert auto.opened == ["openvino"]


def test_what_was_found_is_remembered(auto, images, cache, monkeypatch):
    engine = auto()
    for _ in range(2):
        engine(images)
    timing = recall(cache, engine._key((2, 41, 57)))
    assert timing.engine == "openvino"
    assert set(timing.seconds) == {"optimized", "openvino"}

    known = Timing("openvino", 0.0, {"openvino": 0.1})
    monkeypatch.setattr("atrous.fast.engines.automatic.recall", lambda *_: known)
    later = auto(patience=1e9)
    later(images)
    assert later.name == "optimized"  # it may be the only picture
    later(images)
    assert later.name == "openvino"


def test_a_model_optimized_for_less_is_taken_as_it_is(make, images):
    for keywords in ({"precision": "bf16"}, {"size": (65, 65)}):
        fast = optimize(make(), **keywords)
        engine = AutomaticEngine(fast, device=CPU, patience=0.0)
        for _ in range(2):
            assert torch.equal(engine(images), fast.coarse_logits(images))
        assert engine.name == "optimized"
