import json

import pytest
import torch

from atrous.bench import Choice, bench, run
from atrous.bench.roofline import fastest_product
from atrous.bench.ways import Opened, Way
from atrous.errors import ResourceError, UsageError
from atrous.models import create_model


def _is_full(_choice, name):
    raise ResourceError(f"memory of {name}: no message")


@pytest.fixture(autouse=True)
def _small_products(monkeypatch):
    monkeypatch.setattr(run, "fastest_product", lambda name: fastest_product(name, sides=[8]))


def _fails(*_):
    raise ValueError("\nsizes that are multiples of 16 are wanted\nand more words")


def test_engines_are_compared_with_the_plain_network(small_file):
    choice = Choice(
        model=small_file,
        size=(48, 64),
        engines=("torch", "optimized"),
        against=("torchvision",),
        rounds=2,
        threads=1,
    )
    lines, rounds = [], []
    threads = torch.get_num_threads()
    found = bench(choice, say=lines.append, after_round=lambda: rounds.append(1))
    assert torch.get_num_threads() == threads
    assert len(rounds) == 2
    names = ["atrous torch fp32", "atrous optimized fp32", "atrous optimized bf16"]
    assert [row.name for row in found.rows] == names
    why = "torchvision has no deeplabv3 on test_efficientnet"
    theirs = ("eager fp32", "channels-last fp32", "channels-last bf16")
    assert found.skipped == {f"torchvision {way}": why for way in theirs}
    for row in found.rows[:2]:
        assert row.equal_labels > 0.999
        assert row.logit_difference <= 1e-4 * found.largest_logit
    assert found.rows[0].speedup == 1
    assert found.rows[2].logit_difference > found.rows[0].logit_difference
    assert all(row.roofline > 0 and row.peak_mib is None for row in found.rows)
    assert 0 < found.useful_multiply_adds < found.multiply_adds
    assert set(found.gigaflops) == {"fp32", "bf16"}
    assert found.machine["threads"] == 1
    assert json.loads(json.dumps(found.to_json()))["weights"] == "trained"


def test_a_share_of_the_roofline_is_taken_round_by_round(small_file, monkeypatch):
    choice = Choice(model=small_file, size=(32, 32), engines=("torch",), precisions=("fp32",))
    product = fastest_product("fp32", sides=[8])
    monkeypatch.setattr(run, "fastest_product", lambda _: product)
    times = {"atrous torch fp32": [1.0, 4.0], "fp32": [0.5, 2.0]}  # in both twice as long
    monkeypatch.setattr(run, "race", lambda *_, **__: times)
    found = bench(choice)
    expected = found.useful_multiply_adds / product.multiply_adds / 2
    assert found.rows[0].roofline == pytest.approx(expected, rel=1e-3)
    assert found.gigaflops["fp32"] == round(2e-9 * product.multiply_adds / 1.25, 1)


def test_a_way_that_fails_is_skipped_and_said(small_file, monkeypatch):
    def half(_model, _pictures):
        return Opened(lambda pictures: torch.full(pictures.shape[:3], 9), None)

    ways = [Way("no", "fp32", _fails), Way("half", "fp32", half)]
    monkeypatch.setattr(Choice, "ways", lambda _: ways)
    lines = []
    found = bench(Choice(model=small_file, size=(32, 32), rounds=1), say=lines.append)
    assert found.skipped == {"no": "ValueError: sizes that are multiples of 16 are wanted"}
    assert "skipped no: ValueError: sizes that are multiples of 16 are wanted" in lines
    (row,) = found.rows
    assert (row.name, row.equal_labels, row.logit_difference) == ("half", 0, None)

    monkeypatch.setattr(Choice, "ways", lambda _: ways[:1])
    with pytest.raises(UsageError, match="no: ValueError: sizes that are multiples of 16"):
        bench(Choice(model=small_file, size=(32, 32), rounds=1))


def test_memory_is_measured_only_when_asked_for(small_file, monkeypatch):
    monkeypatch.setattr(run, "peak_mib", lambda _, name: len(name) + 0.04)
    choice = Choice(
        model=small_file, size=(32, 32), engines=("torch",), precisions=("fp32",), rounds=1
    )
    (row,) = bench(choice, memory=True).rows
    assert row.peak_mib == len(row.name)

    monkeypatch.setattr(run, "peak_mib", _is_full)
    lines = []
    (row,) = bench(choice, memory=True, say=lines.append).rows
    assert row.peak_mib is None
    assert lines[-1] == "left out: memory of atrous torch fp32: no message"


def test_a_network_for_other_than_pictures_is_refused(monkeypatch):
    model = create_model("deeplabv3", backbone="test_efficientnet", num_classes=2, in_channels=4)
    monkeypatch.setattr(run, "load_network", lambda _: model)
    with pytest.raises(UsageError, match="takes 4 channels"):
        bench(Choice(size=(32, 32)))


def test_there_is_no_roofline_where_no_product_is_measured(small_file, monkeypatch):
    def nought(_model, _pictures):
        return Opened(lambda pictures: torch.zeros(pictures.shape[:3]), None)

    monkeypatch.setattr(Choice, "ways", lambda _: [Way("eight", "int8", nought)])
    found = bench(Choice(model=small_file, size=(32, 32), rounds=1))
    assert (found.rows[0].roofline, found.gigaflops) == (None, {})
