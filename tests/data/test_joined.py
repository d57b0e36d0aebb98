import numpy as np
import pytest
from PIL import Image

from atrous.data import ShapesDataset, open_dataset
from atrous.data.joined import JoinedSplits, split_names
from atrous.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path):
    """Two pairs in train and one in val, each mask filled with its number."""
    classes = ", ".join(f"{{name: {name}, value: {value}}}" for value, name in enumerate("abc"))
    (tmp_path / "dataset.yaml").write_text(f"classes: [{classes}]")
    for number, name in enumerate(("train/a", "train/b", "val/a")):
        for kind, value in (("images", (number,) * 3), ("masks", number)):
            file = tmp_path / kind / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB" if kind == "images" else "L", (5, 4), value).save(file)
    return tmp_path


def test_splits_follow_each_other(folder):
    joined = open_dataset(folder, "train+val")
    assert [sample.name for sample in joined] == ["train/a", "train/b", "val/a"]
    assert [int(sample.labels.max()) for sample in joined] == [0, 1, 2]
    assert [int(sample.image.max()) for sample in joined] == [0, 1, 2]
    assert open_dataset(folder, "val+train")[0].name == "val/a"
    plain = open_dataset(folder, "train")
    assert (joined.name, joined.classes) == (plain.name, plain.classes)
    assert joined.palette == plain.palette


def test_labels_are_read_without_the_picture_where_that_is_possible(folder):
    joined = open_dataset(folder, "train+val")
    (folder / "images" / "val" / "a.png").write_bytes(b"no picture")
    assert joined.labels_at(2).tolist() == [[2] * 5] * 4
    shapes = JoinedSplits({split: ShapesDataset(split) for split in ("val", "train")})
    np.testing.assert_array_equal(shapes.labels_at(101), ShapesDataset("train")[1].labels)


def test_options_reach_every_split(folder):
    joined = open_dataset(folder, "train+val", classes=["x", "y"], ignore=[2])
    assert joined.classes == ("x", "y")
    assert (joined[2].labels == 255).all()
    assert open_dataset("shapes", "train+val", size=(40, 50))[0].image.shape == (40, 50, 3)


def test_a_split_that_is_not_there_is_named(folder):
    with pytest.raises(DataError, match=r"images/test: no such split; there is train, val"):
        open_dataset(folder, "train+test")


@pytest.mark.parametrize("split", ["train+", "+", "train+train", "train++val"])
def test_words_that_join_nothing_are_refused(split):
    with pytest.raises(UsageError, match=r"\+ joins different splits, as in train\+val"):
        open_dataset("shapes", split)


def test_a_plain_name_is_itself():
    assert split_names("train") == ["train"]


@pytest.mark.parametrize("index", [-1, 3])
def test_only_samples_that_are_there_are_read(folder, index):
    with pytest.raises(IndexError, match=f"sample {index} of 3"):
        open_dataset(folder, "train+val")[index]
