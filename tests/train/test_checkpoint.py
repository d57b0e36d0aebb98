import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from atrous.errors import DataError, DivergedError
from atrous.models import create_model
from atrous.recipe import OptimSection, Recipe
from atrous.train.checkpoint import (
    flatten_moments,
    load_latest,
    restore_moments,
    save_checkpoint,
)
from atrous.train.ema import AveragedWeights
from atrous.train.optimizer import build_optimizer

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


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_a_fused_optimiser_goes_on_whatever_the_layout_of_the_weights(tmp_path, kind):
    torch.manual_seed(0)
    model = nn.Conv2d(4, 3, 3).to(memory_format=torch.channels_last)
    optimizer = kind(model.parameters(), lr=0.1, fused=True, **_MOMENTUM.get(kind, {}))
    resumed = nn.Conv2d(4, 3, 3).to(memory_format=torch.channels_last)
    again = kind(resumed.parameters(), lr=0.1, fused=True, **_MOMENTUM.get(kind, {}))
    images = torch.randn(2, 2, 4, 5, 5)
    _step(model, optimizer, images[0])
    _save(tmp_path, 1, model, optimizer)
    resumed.load_state_dict(load_latest(tmp_path).model)
    restore_moments(again, load_latest(tmp_path).optimizer)
    _step(model, optimizer, images[1])
    _step(resumed, again, images[1])
    assert torch.equal(model.weight, resumed.weight)


def _step(model, optimizer, images):
    model(images).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the two checkpoints, the older one first, of a DeepLab that was trained."""
    torch.manual_seed(0)
    model = create_model(
        "deeplabv3plus",
        num_classes=3,
        backbone="lcnet_035",
        rates=(1, 2),
        channels=8,
        pretrained_backbone=False,
    )
    optimizer, average = (
        build_optimizer(model, OptimSection(name="sgd")),
        AveragedWeights(model, 0.9),
    )
    paths = []
    for step in (1, 2):
        model(torch.randn(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
        average.update(model, step)
        path = save_checkpoint(
            tmp_path_factory.getbasetemp() / "trained",
            step=step,
            model=model,
            optimizer=optimizer,
            state={"recipe": Recipe().model_dump(mode="json")},
            keep=3,
            average=average.state,
        )
        paths.append(path)
    return paths


def _goes_back(newer):
    """Check that a damaged checkpoint is passed over for the one before, and that it is said."""
    said = []
    assert load_latest(newer.parent, say=said.append).step == 1
    assert len(said) == 1
    assert said[0].startswith(f"{newer}: the checkpoint is damaged")
    assert said[0].endswith("; going back to step-00000001")


def test_a_thousand_flipped_bits_are_found_and_the_checkpoint_before_is_taken(trained, tmp_path):
    _, newer = trained
    (tmp_path / newer.name).symlink_to(newer)  # alone, as to read another one takes the most time
    random = np.random.default_rng(0)
    places = []
    for path in sorted(newer.iterdir()):
        last = path.stat().st_size - 1
        places += [(path, byte, bit) for byte in (0, last) for bit in (0, 7)]
        places += [(path, int(byte), byte % 8) for byte in random.integers(0, last, 196)]
    assert {path.name for path, *_ in places} == {
        *("model.safetensors", "optimizer.safetensors", "average.safetensors"),
        *("state.json", "SHA256SUMS"),
    }
    assert len(places) == 1000
    for number, (path, byte, bit) in enumerate(places):
        with path.open("r+b") as file:
            was = os.pread(file.fileno(), 1, byte)
            os.pwrite(file.fileno(), bytes([was[0] ^ 1 << bit]), byte)
            with pytest.raises(DataError, match="the checkpoint is damaged"):
                load_latest(tmp_path)
            if number % 10 == 0:
                _goes_back(newer)
            os.pwrite(file.fileno(), was, byte)
    assert load_latest(newer.parent).step == 2


@pytest.mark.parametrize("how", ["cut", "lengthened", "lost", "of the checkpoint before"])
def test_a_file_that_is_not_as_it_was_is_found(trained, how):
    older, newer = trained
    random = np.random.default_rng(1)
    for path in sorted(newer.iterdir()):
        content = path.read_bytes()
        spoilt = {
            "cut": [content[:length] for length in (0, len(content) - 1, random.integers(400))],
            "lengthened": [content + b"\0", content + content],
            "lost": [None],
            "of the checkpoint before": [(older / path.name).read_bytes()],
        }
        for now in spoilt[how]:
            path.unlink()
            if now is not None:
                path.write_bytes(now)
            _goes_back(newer)
            path.write_bytes(content)
    assert load_latest(newer.parent).step == 2


def test_a_file_too_many_is_found(trained):
    _, newer = trained
    (newer / "more.safetensors").write_bytes((newer / "model.safetensors").read_bytes())
    _goes_back(newer)
    (newer / "more.safetensors").unlink()


def test_a_checkpoint_under_the_name_of_another_is_found(tmp_path):
    for step in (1, 2, 3):
        _save(tmp_path, step, *_trained())
    shutil.rmtree(tmp_path / "step-00000003")
    (tmp_path / "step-00000001").rename(tmp_path / "step-00000003")
    said = []
    assert load_latest(tmp_path, say=said.append).step == 2
    assert "step-00000003: the checkpoint is damaged (it is that of step 1)" in said[0]


def test_a_flipped_bit_names_its_file(tmp_path):
    file = _save(tmp_path, 1, *_trained()) / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
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
