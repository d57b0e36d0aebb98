import pytest

from atrous.errors import UsageError
from atrous.train import train
from atrous.train.processes import refuse_several_processes


@pytest.mark.parametrize("size", [None, "1"])
def test_one_process_trains(monkeypatch, size):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    refuse_several_processes()


def test_several_processes_do_not_train_into_one_folder(tmp_path, monkeypatch, tiny_recipe):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 2.*without torchrun"):
        train(tiny_recipe("train.max_steps=1"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
