import numpy as np
import pytest

from atrous.data import FolderDataset
from atrous.data.layouts import camvid as layout
from atrous.errors import DataError

VALUES = list(range(12))


@pytest.fixture
def root(tmp_path, write_picture, write_mask, drawn):
    for seed, name in enumerate(("0001TP_1", "0001TP_2")):
        write_picture(tmp_path / f"train/{name}.png")
        write_mask(tmp_path / f"trainannot/{name}.png", drawn(VALUES, seed))
    return tmp_path


def write_list(root, *lines: str) -> None:
    (root / "train.txt").write_text("\n".join(lines))


@pytest.mark.parametrize("prefix", ["/SegNet/CamVid/", "", "CamVid/"])
def test_a_list_is_read_wherever_its_paths_began(prefix, root, drawn) -> None:
    write_list(root, f"{prefix}train/0001TP_2.png {prefix}trainannot/0001TP_2.png")
    dataset = layout.open_split(root, "train")
    assert len(dataset) == 1
    values = drawn(VALUES, 1)
    np.testing.assert_array_equal(dataset[0].labels, np.where(values == 11, 255, values))
    assert dataset[0].name == "0001TP_2"


def test_without_a_list_every_picture_counts(root) -> None:
    assert layout.recognize(root)
    dataset = layout.open_split(root, "train")
    assert [dataset[k].name for k in (0, 1)] == ["0001TP_1", "0001TP_2"]
    assert (dataset.classes[0], dataset.classes[10]) == ("Sky", "Bicyclist")
    assert dataset.palette[8] == (64, 0, 128)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train/0001TP_1.png", "is not a picture and a mask, separated by a space"),
        ("../train/a.png trainannot/a.png", "does not lead to a file"),
        ("/a/../../../b/c.png trainannot/a.png", "does not lead to a file"),
        ("train/none.png trainannot/none.png", "none.png: no such file; copy the pictures of"),
    ],
)
def test_a_line_that_does_not_fit_is_told(line, message, root) -> None:
    write_list(root, line)
    with pytest.raises(DataError, match=message):
        layout.open_split(root, "train")


def test_a_missing_mask_is_named(root) -> None:
    (root / "trainannot/0001TP_2.png").unlink()
    with pytest.raises(DataError, match=r"trainannot/0001TP_2.png: no such file; copy the masks"):
        layout.open_split(root, "train")


def test_the_plain_layout_needs_no_yaml(camvid, tmp_path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).symlink_to(camvid / kind)
    dataset, described = layout.open_split(tmp_path, "val"), FolderDataset(camvid, "val")
    assert len(dataset) == len(described) == 101
    np.testing.assert_array_equal(dataset[50].labels, described[50].labels)
    assert dataset.palette == described.palette
