import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.errors import UsageError
from atrous.train.processes import ALONE, World, joined, refuse_several_processes

CREWS = Path(__file__).with_name("crews.py")
PROCESSES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@pytest.fixture(scope="module")
def crews(tmp_path_factory):
    """Return how trainings of one and of two processes went."""
    words = [sys.executable, str(CREWS), str(tmp_path_factory.mktemp("crews"))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("crew", ["two", "two, twice"])
def test_two_processes_have_the_loss_of_one(crews, crew):
    one, two = crews["one"]["losses"], crews[crew]["losses"]
    assert len(one) == len(two) == 20
    assert max(one) - min(one) > 0.05  # it learns
    assert np.abs(np.subtract(one, two)).max() < 1e-5


def test_two_processes_leave_the_files_of_one(crews):
    endings = crews["endings"]
    assert endings["two"].keys() == endings["one"].keys()
    assert {"best.safetensors", "metrics.csv", "recipe.yaml", "report.html"} < set(endings["two"])


def test_two_processes_that_were_stopped_end_with_the_same_bits(crews):
    assert crews["stopped"]["codes"] == [143, 143]  # one of them got the signal
    assert [len(crews[crew]["losses"]) for crew in ("stopped", "resumed")] == [4, 2]
    assert crews["resumed"]["codes"] == [0, 0]
    assert crews["endings"]["stopped"] == crews["endings"]["whole"]
    kept = {name for name, sha256 in crews["endings"]["whole"].items() if sha256}
    last = "checkpoints/step-00000006/"
    assert {"metrics.csv", f"{last}model.safetensors", f"{last}average.safetensors"} < kept


def test_another_number_of_processes_goes_on_and_says_so(crews):
    assert crews["fewer"]["codes"] == [0]
    assert "note: processes was 2 and is now 1" in crews["fewer"]["said"][0]


def test_norms_that_see_a_part_are_told_once(crews):
    notes = [
        "has batch norms of its own, which see 2 of 4 images" in s for s in crews["whole"]["said"]
    ]
    assert notes == [True, False]
    assert "batch norms" not in crews["two"]["said"][0]  # frozen ones see nothing


@pytest.mark.parametrize(
    ("crew", "codes", "message"),
    [
        ("first spoilt", [3, 3], "is broken"),
        ("second spoilt", [3, 3], "is broken"),
        ("odd", [2, 2], "of which 2 processes cannot have equal parts; take 4 or 6"),
        ("killed", [5, -9], "another process of this training ended without a word"),
    ],
)
def test_what_fails_in_one_ends_all_and_is_said_once(crews, crew, codes, message):
    assert crews[crew]["codes"] == codes
    said = "".join(crews[crew]["said"])
    assert said.count("error: ") == said.count(message) == 1
    assert "Traceback" not in said
    assert crews[crew]["seconds"] < 60


@pytest.mark.timeout(600)
def test_torchrun_trains(tmp_path):
    for split in ("train", "val"):
        for name in range(4):
            labels = np.zeros((32, 48), dtype=np.uint8)
            labels[8:24, 8 + 4 * name : 32] = 1
            for kind, array in (
                ("images", np.stack([labels * 200] * 3, axis=2)),
                ("masks", labels),
            ):
                file = tmp_path / "data" / kind / split / f"{name}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(file)
    settings = (
        *("model.backbone=lcnet_035", "model.rates=[1, 2]", "train.max_steps=2", "data.size=null"),
        *("data.crop_size=null", "data.workers=0", "train.batch_size=4", "data.check=false"),
    )
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words += ["-m", "atrous", "train", "--recipe", "shapes-quick", "--data", str(tmp_path / "data")]
    words += ["--classes", "ground", "thing", "--device", "cpu", "--out", str(tmp_path / "run")]
    words += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "best.safetensors").is_file()
    state = json.loads((tmp_path / "run/checkpoints/step-00000002/state.json").read_text())
    assert state["surroundings"]["processes"] == "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_one_process_is_alone_whatever_started_it(monkeypatch):
    for name in PROCESSES:
        monkeypatch.delenv(name, raising=False)
    for size in (None, "1"):
        if size is not None:
            monkeypatch.setenv("WORLD_SIZE", size)
        with joined() as world:
            assert world == ALONE
        refuse_several_processes("a test")


def test_half_of_what_torchrun_says_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 2, .*'RANK' is not known; start them by"):
        joined().__enter__()
    with pytest.raises(UsageError, match="a test is one process"):
        refuse_several_processes("a test")


@pytest.mark.parametrize(("size", "batch", "cure"), [(4, 10, "8 or 12"), (4, 3, "take 4$")])
def test_a_batch_that_cannot_be_shared_is_refused_with_the_nearest_sizes(size, batch, cure):
    assert World(size=size).part_of(2 * size) == 2
    with pytest.raises(UsageError, match=cure):
        World(size=size).part_of(batch)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    world = World(rank=3, size=4, local_rank=1, local_size=2)
    assert world.pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert world.pick_device("cuda") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="one GPU each"):
        world.pick_device("cuda:0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UsageError, match="torch sees 1 CUDA GPU"):
        world.pick_device("cuda")
