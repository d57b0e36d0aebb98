from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atrous.data import FolderDataset, ShapesDataset, open_dataset
from atrous.errors import DataError, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / kind / "val").mkdir(parents=True)
    Image.new("RGB", (3, 1)).save(tmp_path / "images" / "val" / "a.png")
    Image.fromarray(np.array([[0, 1, 9]], np.uint8)).save(tmp_path / "masks" / "val" / "a.png")
    return tmp_path


def write_yaml(root: Path) -> None:
    text = "classes: [{name: a, value: 0}, {name: b, value: 1}]\nignore: [9]\n"
    (root / "dataset.yaml").write_text(text)


def test_shapes_need_no_folder() -> None:
    dataset = open_dataset("shapes", "val")
    assert isinstance(dataset, ShapesDataset)
    assert dataset[0].image.shape == (96, 128, 3)
    assert open_dataset("shapes", "val", size=(40, 50))[0].labels.shape == (40, 50)


def test_a_folder_is_read_by_its_yaml(root: Path) -> None:
    write_yaml(root)
    dataset = open_dataset(str(root), "val")
    assert isinstance(dataset, FolderDataset)
    assert dataset[0].labels.tolist() == [[0, 1, 255]]


def test_words_serve_a_folder_without_yaml(root: Path) -> None:
    dataset = open_dataset(root, "val", classes=["x", "y=1#FF0000"], ignore=[9])
    assert dataset.classes == ("x", "y")
    assert dataset.palette[1] == (255, 0, 0)
    assert dataset[0].labels.tolist() == [[0, 1, 255]]


def test_words_take_the_place_of_the_whole_yaml(root: Path) -> None:
    write_yaml(root)
    dataset = open_dataset(root, "val", classes=["y=1", "x=0", "z=9"])
    assert dataset.classes == ("y", "x", "z")
    assert dataset[0].labels.tolist() == [[1, 0, 2]]


def test_ignore_alone_takes_the_place_of_that_in_the_yaml(root: Path) -> None:
    write_yaml(root)
    assert open_dataset(root, "val", ignore=[9, 77])[0].labels.tolist() == [[0, 1, 255]]
    with pytest.raises(DataError, match="value 9 at 1 pixel is outside"):
        open_dataset(root, "val", ignore=[77])[0]


def test_ignore_must_fit_the_classes_in_the_yaml(root: Path) -> None:
    write_yaml(root)
    with pytest.raises(DataError, match="ignore: value 1 is both class 'b' and ignored"):
        open_dataset(root, "val", ignore=[1])


def test_a_folder_without_yaml_and_words_is_refused(root: Path) -> None:
    for ignore in ([], [9]):
        with pytest.raises(DataError, match=r"dataset.yaml: no such file.*--classes"):
            open_dataset(root, "val", ignore=ignore)


def test_options_that_do_not_fit_are_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="shapes brings its own classes"):
        open_dataset("shapes", "val", classes=["a", "b"])
    with pytest.raises(UsageError, match="shapes brings its own classes"):
        open_dataset("shapes", "val", ignore=[1])
    with pytest.raises(UsageError, match="size is for shapes only"):
        open_dataset(root, "val", classes=["a", "b"], size=(4, 4))
