import pytest
import torch

from atrous.devices import has_fast_bf16, has_matrix_unit, pick_device
from atrous.errors import UsageError


@pytest.fixture
def machine(monkeypatch):
    """Say what torch shall see of this machine."""

    def equip(*, gpus: int, apple: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)

    return equip


@pytest.mark.parametrize(
    ("gpus", "apple", "best"),
    [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")],
)
def test_auto_takes_the_best_there_is(machine, gpus, apple, best):
    machine(gpus=gpus, apple=apple)
    assert pick_device() == pick_device("auto") == torch.device(best)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken_by_its_name(machine, name):
    machine(gpus=2, apple=True)
    assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "CPU", "cuda:-1"])
def test_other_words_are_refused_with_those_that_are_known(name):
    with pytest.raises(UsageError, match=f"device '{name}' is unknown; use auto, cpu, cuda"):
        pick_device(name)


@pytest.mark.parametrize(("gpus", "name"), [(0, "cuda"), (0, "cuda:0"), (1, "cuda:1")])
def test_a_gpu_that_is_not_there_is_refused(machine, gpus, name):
    machine(gpus=gpus, apple=False)
    with pytest.raises(UsageError, match=f"'{name}': torch sees {gpus} CUDA GPUs here; use --dev"):
        pick_device(name)


def test_apples_gpu_is_refused_where_there_is_none(machine):
    machine(gpus=1, apple=False)
    with pytest.raises(UsageError, match="'mps': torch sees no Apple GPU here; use --device cpu"):
        pick_device("mps")


@pytest.mark.parametrize(
    ("unit", "is_fast"),
    [("amx_bf16", True), ("avx512_bf16", True), ("avx512_f", False), ("arm_bf16", False)],
)
def test_bfloat16_is_fast_where_the_processor_multiplies_it(monkeypatch, unit, is_fast):
    units = {"amx_bf16": False, "avx512_bf16": False, unit: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert has_fast_bf16(torch.device("cpu")) is is_fast
    assert has_matrix_unit() is (unit == "amx_bf16")
