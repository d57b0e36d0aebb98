import time

import pytest

from atrous.bench.interleaved import compare, race, ratios


def test_every_other_round_runs_backwards():
    ran, rounds = [], []
    ways = {name: lambda name=name: ran.append(name) for name in "abc"}
    times = race(ways, rounds=3, after_round=lambda: rounds.append(len(ran)))
    assert "".join(ran) == "abc" + "cba" + "abc"
    assert rounds == [3, 6, 9]
    assert {name: len(taken) for name, taken in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_ratios_are_taken_round_by_round():
    # The machine is ten times as slow in the second round, for both.
    table = ratios({"first": [1.0, 10.0, 1.2], "second": [0.5, 5.0, 0.3]})
    assert table["first"] == {
        "seconds": 1.2, "speedup": 1.0, "speedup_min": 1.0, "speedup_max": 1.0,
    }  # fmt: skip
    second = {"seconds": 0.5, "speedup": 2.0, "speedup_min": 2.0, "speedup_max": 4.0}
    assert table["second"] == second


def test_what_is_compared_has_run_once_before(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    ran = []
    table = compare({"way": lambda: ran.append(1)}, rounds=2)
    assert len(ran) == 3
    assert table["way"]["seconds"] == pytest.approx(1.0)
