import math

import numpy as np
import pytest
from PIL import Image

from atrous.data import Sample, open_dataset
from atrous.errors import RecipeError
from atrous.train.class_weights import class_weights, count_labels
from atrous.train.processes import World


class Labelled:
    """A data set of label maps only."""

    name = "labelled"
    palette = ((0, 0, 0),) * 3
    classes = ("a", "b", "c")

    def __init__(self, *rows):
        self.rows = [np.array([row], dtype=np.uint8) for row in rows]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return Sample(
            np.zeros((*self.rows[index].shape, 3), np.uint8), self.rows[index], str(index)
        )


DATA = Labelled([0, 0, 0, 1, 255], [0, 0, 0, 2, 2], [255, 255, 1, 0, 0])  # 8 a, 2 b, 2 c


def test_labels_are_counted_without_the_ignored_ones():
    assert count_labels(DATA).tolist() == [8, 2, 2]


def test_log_frequency_is_enets_formula_at_mean_one():
    weights = class_weights("log-frequency", DATA)
    expected = [1 / math.log(1.02 + share) for share in (8 / 12, 2 / 12, 2 / 12)]
    mean = sum(expected) / 3
    assert weights.tolist() == pytest.approx([weight / mean for weight in expected])


def test_median_frequency_over_the_classes_that_occur():
    weights = class_weights("median-frequency", Labelled([0, 0, 0, 1]))
    assert weights[2] == 0
    assert (weights[1] / weights[0]).item() == pytest.approx(3)
    assert weights.mean().item() == pytest.approx(1)


def test_none_and_numbers():
    assert class_weights("none", DATA) is None
    assert class_weights((1.0, 2.0, 3.0), DATA).tolist() == [1, 2, 3]
    with pytest.raises(RecipeError, match="2 numbers for 3 classes"):
        class_weights((1.0, 2.0), DATA)


def test_each_process_counts_a_part(monkeypatch):
    monkeypatch.setattr("torch.distributed.all_reduce", lambda counts: None)
    parts = [count_labels(DATA, World(rank=rank, size=2)) for rank in range(2)]
    assert [part.tolist() for part in parts] == [[5, 2, 0], [3, 0, 2]]


def test_counting_is_said_and_reads_no_picture(tmp_path):
    for kind, channels in (("images", (3,)), ("masks", ())):
        file = tmp_path / kind / "train" / "0.png"
        file.parent.mkdir(parents=True)
        Image.fromarray(np.ones((2, 4, *channels), np.uint8)).save(file)
    dataset = open_dataset(tmp_path, "train", classes=["a", "b"])
    (tmp_path / "images/train/0.png").write_bytes(b"no picture")
    said = []
    weights = class_weights("median-frequency", dataset, say=said.append)
    assert weights.tolist() == [0, 2]
    assert said == ["train.class_weights=median-frequency: counting the labels of 1 images"]
