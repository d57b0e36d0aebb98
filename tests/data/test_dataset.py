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


@pytest.fixture
def contexts(tmp_path: Path) -> Path:
    """A folder that is both Pascal VOC and Pascal Context."""
    (tmp_path / "JPEGImages").mkdir()
    Image.new("RGB", (3, 1)).save(tmp_path / "JPEGImages" / "a.jpg")
    for lists, masks, value in (
        ("Segmentation", "SegmentationClass", 15),
        ("SegmentationContext", "SegmentationClassContext", 47),
    ):
        for folder in (f"ImageSets/{lists}", masks):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / f"ImageSets/{lists}/val.txt").write_text("a\n")
        Image.fromarray(np.array([[0, 255, value]], np.uint8)).save(tmp_path / masks / "a.png")
    return tmp_path


def test_a_name_chooses_among_the_layouts_of_a_folder(contexts: Path) -> None:
    for name, labels in (
        ("voc", [0, 255, 15]),
        ("pascal-context", [0, 255, 47]),
        ("pascal-context-59", [255, 255, 46]),
    ):
        dataset = open_dataset(f"{name}={contexts}", "val")
        assert dataset[0].labels.tolist() == [labels]
    with pytest.raises(UsageError, match="can be read as voc or pascal-context; say which"):
        open_dataset(contexts, "val")


def test_a_layout_is_recognized(contexts: Path) -> None:
    (contexts / "SegmentationClassContext").rename(contexts / "other")
    assert open_dataset(contexts, "val").name == "Pascal VOC 2012"
    with pytest.raises(UsageError, match=r"voc brings its own classes; .*'folder=/"):
        open_dataset(contexts, "val", classes=["a", "b"])


def test_a_name_reads_the_plain_folder_too(root: Path) -> None:
    dataset = open_dataset(f"folder={root}", "val", classes=["x", "y"], ignore=[9])
    assert isinstance(dataset, FolderDataset)


def test_a_folder_may_have_an_equals_sign(root: Path) -> None:
    folder = root.rename(root.with_name("voc=7"))
    assert open_dataset(folder, "val", classes=["x", "y"], ignore=[9])[0].name == "a"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cityscape=/data", "no data set is called 'cityscape'; did you mean 'cityscapes'"),
        ("voc", "voc needs its folder, as in 'voc=DIR'"),
        ("hf", "hf needs its folder, as in 'hf=DIR'"),
    ],
)
def test_a_name_that_says_too_little_is_refused(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_dataset(source, "val")


def test_a_missing_folder_is_a_fault_of_the_data() -> None:
    with pytest.raises(DataError, match="runs/a=b: no such folder"):
        open_dataset("runs/a=b", "val")
    with pytest.raises(DataError, match="none/leftImg8bit/val: no such folder"):
        open_dataset("cityscapes=none", "val")
