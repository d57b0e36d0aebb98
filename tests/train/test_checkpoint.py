import json
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from atrous.errors import DataError, DivergedError
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


def test_an_average_of_the_weights_is_kept_beside_them(tmp_path):
    model, optimizer = _trained()
    average = {key: tensor + 1 for key, tensor in model.state_dict().items()}
    _save(tmp_path, 1, model, optimizer)
    assert load_latest(tmp_path).average is None
    save_checkpoint(
        tmp_path, step=2, model=model, optimizer=optimizer, state={}, keep=3, average=average
    )
    read = load_latest(tmp_path).average
    assert read.keys() == average.keys()
    assert all(torch.equal(read[key], average[key]) for key in average)


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


def test_an_average_is_kept_where_there_is_one(tmp_path):
    model, optimizer = _trained()
    assert load_latest(_save(tmp_path, 1, model, optimizer).parent).average is None
    average = {"mean": torch.arange(3.0)}
    state = {"best": 0.5}
    save_checkpoint(
        tmp_path, step=2, model=model, optimizer=optimizer, state=state, keep=3, average=average
    )
    assert torch.equal(load_latest(tmp_path).average["mean"], average["mean"])


def test_any_change_to_a_checkpoint_is_found_and_the_one_before_taken(tmp_path):
    """A thousand times a flipped bit, a cut or missing file, or a file of another checkpoint."""
    random = np.random.default_rng(0)
    older = _save(tmp_path, 1, *_trained(steps=1))
    newer = _save(tmp_path, 2, *_trained(steps=2))
    whole = {file.name: file.read_bytes() for file in newer.iterdir()}
    for trial in range(1000):
        name = str(random.choice(sorted(whole)))
        _spoil(newer / name, random, ("flip", "cut", "lose", "swap")[min(3, trial // 250)], older)
        said = []
        checkpoint = load_latest(tmp_path, say=said.append)
        assert checkpoint.step == 1, (trial, name)
        assert len(said) == 1
        assert said[0].startswith(f"{newer}: the checkpoint is damaged")
        assert said[0].endswith("; going back to step-00000001")
        (newer / name).write_bytes(whole[name])
    assert load_latest(tmp_path).step == 2


def _spoil(file, random, how, other):
    content = bytearray(file.read_bytes())
    if how == "lose":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: random.integers(len(content))])
    elif how == "swap":
        file.write_bytes((other / file.name).read_bytes())
    else:
        bit = int(random.integers(len(content) * 8))
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)


def test_a_flipped_bit_names_its_file(tmp_path):
    path = _save(tmp_path, 1, *_trained())
    _spoil(path / "optimizer.safetensors", np.random.default_rng(1), "flip", path)
    with pytest.raises(DataError, match=r"\(optimizer\.safetensors does not fit the SHA-256"):
        load_latest(tmp_path)


def test_without_a_good_one_nothing_is_started_anew(tmp_path):
    for step in (1, 2):
        (_save(tmp_path, step, *_trained()) / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"step-00000002: .* damaged .* and so are all before it"):
        load_latest(tmp_path)


@pytest.mark.parametrize("pointer", [None, b"step-00000009", b"\xff\xfe", b""])
def test_without_its_pointer_the_newest_is_taken(tmp_path, pointer):
    for step in (1, 2):
        _save(tmp_path, step, *_trained())
    (tmp_path / "latest").unlink()
    if pointer is not None:
        (tmp_path / "latest").write_bytes(pointer)
    said = []
    assert load_latest(tmp_path, say=said.append).step == 2
    assert "does not name a checkpoint; taking the newest, step-00000002" in said[0]


@pytest.mark.parametrize("where", ["weight", "moment"])
def test_what_is_not_finite_is_not_saved(tmp_path, where):
    model, optimizer = _trained()
    _save(tmp_path, 1, model, optimizer)
    parameter = model[0].weight
    spoilt = parameter.data if where == "weight" else optimizer.state[parameter]["exp_avg"]
    spoilt[0, 0] = float("nan")
    with pytest.raises(DivergedError, match="no finite number"):
        _save(tmp_path, 2, model, optimizer)
    assert [path.name for path in tmp_path.glob("*step*")] == ["step-00000001"]


def test_the_sums_are_those_of_the_usual_tool(tmp_path):
    path = _save(tmp_path, 5, *_trained())
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=path, check=True)


def test_the_state_is_plain_json(tmp_path):
    path = _save(tmp_path, 5, *_trained())
    assert json.loads((path / "state.json").read_text()) == {"step": 5, "best": 0.5}
