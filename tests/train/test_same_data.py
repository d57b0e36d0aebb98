import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from atrous.data import ShapesDataset, open_dataset
from atrous.errors import DataError
from atrous.train.same_data import RECORD, keep_record, refuse_other_data

SPLITS = ("train", "val")


@pytest.fixture
def data(tmp_path):
    """Return a folder with three pairs in each of two splits."""
    root = tmp_path / "data"
    for split in (*SPLITS, "test"):
        for number in range(3):
            for kind, channels in (("images", (3,)), ("masks", ())):
                file = root / kind / split / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                values = np.random.default_rng(number).integers(0, 2, (16, 20, *channels), np.uint8)
                Image.fromarray(values).save(file)
    (root / "dataset.yaml").write_text("classes: [{name: a, value: 0}, {name: b, value: 1}]")
    return root


def _open(root):
    return {split: open_dataset(root, split) for split in SPLITS}


@pytest.fixture
def run(tmp_path, data):
    keep_record(tmp_path, str(data), _open(data))
    return tmp_path


def _check(run, root):
    return refuse_other_data(run, str(root), _open(root))


def test_the_same_data_is_the_same(run, data):
    assert _check(run, data) is None


def test_a_copy_elsewhere_with_other_times_is_the_same(run, data):
    moved = shutil.copytree(data, run / "moved", copy_function=shutil.copyfile)
    os.utime(moved / "images/train/0.png", (1, 1))
    assert _check(run, moved) is None


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_an_altered_file_is_named(run, data, split, kind):
    file = data / kind / split / "2.png"
    values = np.array(Image.open(file))
    values[0, 0] ^= 1
    Image.fromarray(values).save(file)
    with pytest.raises(DataError, match=rf"{kind}/{split}/2\.png: was altered since the run"):
        _check(run, data)


@pytest.mark.parametrize(
    ("size", "where"), [(200_000, 100_000), (200_000, 31_000), (40_000_000, 0), (40_000_000, -1)]
)
def test_a_change_inside_a_file_of_the_same_size_is_seen(run, data, size, where):
    file = data / "images/train/2.png"
    content = bytearray(file.read_bytes() + bytes(size))
    file.write_bytes(content)
    datasets = _open(data)
    keep_record(run, str(data), datasets)
    content[where] ^= 1
    file.write_bytes(content)
    os.utime(file, (1, 1))
    with pytest.raises(DataError, match=r"images/train/2\.png: was altered"):
        refuse_other_data(run, str(data), datasets)


def test_of_a_large_file_a_bounded_part_is_read(run, data):
    """Nothing of it is read between the blocks, and nothing at all where size and time agree."""
    file = data / "images/train/2.png"
    with file.open("r+b") as large:
        large.truncate(40_000_000)
    datasets = _open(data)
    keep_record(run, str(data), datasets)
    with file.open("r+b") as large:
        large.seek(1_000_000)
        large.write(b"?")
    assert refuse_other_data(run, str(data), datasets) is None


def test_an_added_pair_is_named(run, data):
    for kind in ("images", "masks"):
        shutil.copy(data / kind / "val/0.png", data / kind / "val/3.png")
    with pytest.raises(DataError, match=r"images/val/3\.png: was added .*and \d more"):
        _check(run, data)


def test_a_removed_pair_is_named(run, data):
    for kind in ("images", "masks"):
        (data / kind / "train/1.png").unlink()
    with pytest.raises(DataError, match=r"images/train/1\.png: was removed"):
        _check(run, data)


def test_other_classes_are_named_by_their_file(run, data):
    (data / "dataset.yaml").write_text("classes: [{name: a, value: 1}, {name: b, value: 0}]")
    with pytest.raises(DataError, match=r"dataset\.yaml: was altered"):
        _check(run, data)


def test_what_the_run_does_not_read_may_change(run, data):
    (data / "notes.txt").write_text("seen")
    shutil.rmtree(data / "images/test")
    assert _check(run, data) is None


def test_in_another_layout_every_file_counts_but_for_runs_and_hidden_ones(tmp_path, data):
    datasets = {"all": open_dataset(data, "train")}
    keep_record(tmp_path, f"coco={data}", datasets)
    (data / "runs/first").mkdir(parents=True)
    (data / "runs/first/recipe.yaml").touch()
    (data / ".cache").mkdir()
    (data / ".cache/x").touch()
    assert refuse_other_data(tmp_path, f"coco={data}", datasets) is None
    (data / "more.json").touch()
    with pytest.raises(DataError, match=r"more\.json: was added"):
        refuse_other_data(tmp_path, f"coco={data}", datasets)


def test_a_made_up_set_is_known_by_its_first_sample(tmp_path):
    keep_record(tmp_path, "shapes", {"train": ShapesDataset("train", length=4, size=(16, 20))})
    same = {"train": ShapesDataset("train", length=4, size=(16, 20))}
    assert refuse_other_data(tmp_path, "shapes", same) is None
    for other in ({"length": 5}, {"seed": 1}):
        dataset = ShapesDataset("train", **{"length": 4, "size": (16, 20), **other})
        with pytest.raises(DataError, match="its train split had 4 samples"):
            refuse_other_data(tmp_path, "shapes", {"train": dataset})


def test_without_a_record_it_is_said(run, data):
    (run / RECORD).unlink()
    assert "is missing" in _check(run, data)


def test_a_file_that_cannot_be_read_is_no_fault_of_the_record(run, data):
    datasets = _open(data)
    (data / "masks/train/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"masks/train/0\.png: is empty"):
        refuse_other_data(run, str(data), datasets)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}', '{"files": {"a": "b"}, "splits": {}}'])
def test_a_damaged_record_is_said(run, data, text):
    (run / RECORD).write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        _check(run, data)


def test_the_record_is_a_line_for_each_file(run):
    files = json.loads((run / RECORD).read_text())["files"]
    assert len(files) == 13
    assert files["masks/val/0.png"].endswith(tuple("0123456789abcdef"))


@pytest.mark.parametrize("split", SPLITS)
def test_of_joined_splits_the_files_of_both_are_watched(tmp_path, data, split):
    def joined():
        return {"train+val": open_dataset(data, "train+val"), "val": open_dataset(data, "val")}

    keep_record(tmp_path, str(data), joined())
    (data / "images/test/0.png").unlink()
    assert refuse_other_data(tmp_path, str(data), joined()) is None
    (data / "masks" / split / "1.png").write_bytes((data / "masks/val/2.png").read_bytes())
    with pytest.raises(DataError, match=f"masks/{split}/1.png: was altered"):
        refuse_other_data(tmp_path, str(data), joined())
