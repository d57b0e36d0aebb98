import json

import pytest
import torch
from torch import nn

from atrous.errors import DataError
from atrous.train.checkpoint import (
    flatten_moments,
    load_latest,
    restore_moments,
    save_checkpoint,
)

_MOMENTUM = {torch.optim.SGD: {"momentum": 0.9}}


def _trained(kind=torch.optim.AdamW, steps=3):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    optimizer = kind(model.parameters(), lr=0.1, **_MOMENTUM.get(kind, {}))
    for _ in range(steps):
        model(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def _save(folder, step, model, optimizer, keep=3):
    return save_checkpoint(
        folder, step=step, model=model, optimizer=optimizer, state={"best": 0.5}, keep=keep
    )


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_what_is_saved_comes_back_bit_for_bit(tmp_path, kind):
    model, optimizer = _trained(kind)
    _save(tmp_path, 7, model, optimizer)
    checkpoint = load_latest(tmp_path)
    assert (checkpoint.step, checkpoint.state) == (7, {"best": 0.5})
    for key, tensor in model.state_dict().items():
        assert torch.equal(checkpoint.model[key], tensor)
    fresh_model, fresh = _trained(kind, steps=1)
    fresh_model.load_state_dict(checkpoint.model)
    restore_moments(fresh, checkpoint.optimizer)
    before, after = flatten_moments(optimizer), flatten_moments(fresh)
    assert before.keys() == after.keys()
    assert before
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_only_the_newest_are_kept_and_latest_points_at_the_last(tmp_path):
    model, optimizer = _trained()
    for step in (1, 2, 3, 4):
        _save(tmp_path, step, model, optimizer, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "latest",
        "step-00000003",
        "step-00000004",
    ]
    assert load_latest(tmp_path).step == 4


def test_going_back_to_an_older_checkpoint_keeps_what_is_saved_next(tmp_path):
    model, optimizer = _trained()
    for step in (10, 20, 30):
        _save(tmp_path, step, model, optimizer)
    (tmp_path / "latest").write_text("step-00000010")
    _save(tmp_path, 12, model, optimizer, keep=1)
    assert load_latest(tmp_path).step == 12
    assert not (tmp_path / "step-00000010").exists()


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(DataError, match="no checkpoint"):
        load_latest(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_flipped_bit_is_found(tmp_path, name):
    path = _save(tmp_path, 1, *_trained())
    content = bytearray((path / name).read_bytes())
    content[-3] ^= 4
    (path / name).write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        load_latest(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_missing_or_cut_file_is_found(tmp_path, name):
    path = _save(tmp_path, 1, *_trained())
    (path / name).write_bytes((path / name).read_bytes()[:20])
    with pytest.raises(DataError, match="damaged"):
        load_latest(tmp_path)
    (path / name).unlink()
    with pytest.raises(DataError, match="damaged"):
        load_latest(tmp_path)


def test_the_state_is_plain_json(tmp_path):
    path = _save(tmp_path, 5, *_trained())
    state = json.loads((path / "state.json").read_text())
    assert state["step"] == 5
    assert set(state["sha256"]) == {"model", "optimizer"}
