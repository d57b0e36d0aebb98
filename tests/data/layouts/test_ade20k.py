from pathlib import Path

import numpy as np
import pytest

from atrous.data.layouts import ade20k
from atrous.errors import DataError


@pytest.fixture
def root(tmp_path: Path, write_picture, write_mask, drawn) -> Path:
    for folder, seed in (("training", 1), ("validation", 2)):
        write_picture(tmp_path / f"images/{folder}/ADE_{seed}.jpg")
        write_mask(tmp_path / f"annotations/{folder}/ADE_{seed}.png", drawn([0, 1, 2, 150], seed))
    rows = ["Idx\tRatio\tTrain\tVal\tName"]
    rows += [f"{k} \t0.1\t10\t2\tthing {k}, object " for k in range(1, 149)]
    rows += ["149\t0.1\t10\t2\tpot, flowerpot", "150\t0.1\t10\t2\tpot, kettle"]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize(("split", "seed"), [("train", 1), ("val", 2), ("validation", 2)])
def test_zero_is_ignored_and_the_rest_counts_from_one(root, split, seed, drawn) -> None:
    values = drawn([0, 1, 2, 150], seed)
    sample = ade20k.open_split(root, split)[0]
    np.testing.assert_array_equal(sample.labels, np.where(values == 0, 255, values - 1.0))
    assert sample.name == f"ADE_{seed}"


def test_names_are_the_first_synonyms_where_these_differ(root) -> None:
    classes = ade20k.open_split(root, "val").classes
    assert len(classes) == 150
    assert (classes[0], classes[148], classes[149]) == ("thing 1", "pot, flowerpot", "pot, kettle")


def test_without_names_classes_are_numbered(root) -> None:
    assert ade20k.recognize(root)
    (root / "objectInfo150.txt").unlink()
    assert ade20k.open_split(root, "val").classes[149] == "class 150"
    assert not ade20k.recognize(root)


def test_a_missing_mask_is_named(root) -> None:
    (root / "annotations/training/ADE_1.png").unlink()
    with pytest.raises(DataError, match=r"training/ADE_1.png: no such file; unpack annotations/"):
        ade20k.open_split(root, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("\t", " "), "expected a header and 150 lines"),
        (lambda text: text.replace("thing 7", "thing 8"), "a name is empty or used twice"),
    ],
)
def test_names_that_cannot_be_read_are_refused(root, change, message) -> None:
    info = root / "objectInfo150.txt"
    info.write_text(change(info.read_text()))
    with pytest.raises(DataError, match=f"^{info}: {message}"):
        ade20k.open_split(root, "val")
