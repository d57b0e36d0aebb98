from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atrous.data.folder import FolderDataset, read_scheme
from atrous.data.labels import IGNORE_INDEX, LabelScheme
from atrous.data.palettes import default_palette
from atrous.errors import DataError

YAML = """\
name: roads
classes:
  - {name: road, value: 3}
  - {name: sky, value: 5, color: [0, 0, 255]}
ignore: [11]
"""


def add_pair(root: Path, split: str, name: str, *, size: tuple[int, int] = (6, 8)) -> None:
    """Write a picture and a mask whose left half is road and right half sky."""
    mask = np.full(size, 3, dtype=np.uint8)
    mask[:, size[1] // 2 :] = 5
    mask[0, 0] = 11
    image = root / "images" / split / f"{name}.jpg"
    target = root / "masks" / split / f"{name}.png"
    for path in (image, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size[1], size[0]), (90, 60, 30)).save(image)
    Image.fromarray(mask).save(target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "roads"
    for name in ("b", "a", "town/c"):
        add_pair(folder, "train", name)
    add_pair(folder, "val", "d")
    (folder / "dataset.yaml").write_text(YAML)
    return folder


def test_pairs_are_found_by_name_in_nested_folders(root: Path) -> None:
    dataset = FolderDataset(root, "train")
    assert len(dataset) == 3
    assert [dataset[i].name for i in range(3)] == ["a", "b", "town/c"]


def test_a_sample_holds_picture_and_labels(root: Path) -> None:
    image, labels, _ = FolderDataset(root, "val")[0]
    assert image.shape == (6, 8, 3)
    assert labels.dtype == np.uint8
    assert labels[0].tolist() == [IGNORE_INDEX, 0, 0, 0, 1, 1, 1, 1]


def test_names_and_colours_come_from_the_yaml(root: Path) -> None:
    dataset = FolderDataset(root, "val")
    assert dataset.name == "roads"
    assert dataset.classes == ("road", "sky")
    assert dataset.palette == (default_palette(1)[0], (0, 0, 255))


def test_a_scheme_that_is_given_needs_no_yaml(root: Path) -> None:
    (root / "dataset.yaml").unlink()
    scheme = LabelScheme.from_words(["all=3", "other=5"], ignore=[11])
    dataset = FolderDataset(root, "val", scheme)
    assert dataset.classes == ("all", "other")
    assert dataset.name == "roads"  # of the folder
    assert dataset[0].labels[5].tolist() == [0] * 4 + [1] * 4


def test_the_upright_picture_is_what_the_mask_belongs_to(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 8)).save(root / "images" / "val" / "d.jpg", exif=exif)
    assert FolderDataset(root, "val")[0].image.shape == (6, 8, 3)


def test_nothing_in_the_folder_is_changed(root: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    before = contents()
    dataset = FolderDataset(root, "train")
    for i in range(len(dataset)):
        dataset[i]
    assert contents() == before


def test_sizes_that_differ_are_named(root: Path) -> None:
    add_pair(root, "train", "e", size=(4, 9))
    Image.new("RGB", (8, 6)).save(root / "images" / "train" / "e.jpg")
    dataset = FolderDataset(root, "train")
    with pytest.raises(DataError) as caught:
        dataset[2]
    assert str(caught.value) == (
        f"{root}/masks/train/e.png: is 9 x 4 (width x height), "
        f"but {root}/images/train/e.jpg is 8 x 6 (width x height); "
        "save the mask at the size of the upright image"
    )


def test_a_mask_value_outside_the_classes_is_named(root: Path) -> None:
    Image.fromarray(np.full((6, 8), 4, np.uint8)).save(root / "masks" / "val" / "d.png")
    with pytest.raises(DataError, match=r"masks/val/d.png: value 4 at 48 pixels is outside the 2"):
        FolderDataset(root, "val")[0]


def test_a_broken_picture_is_named(root: Path) -> None:
    (root / "images" / "val" / "d.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"images/val/d.jpg: is empty"):
        FolderDataset(root, "val")[0]


def test_a_missing_split_names_those_that_exist(root: Path) -> None:
    with pytest.raises(DataError, match=r"images/test: no such split; there is train, val"):
        FolderDataset(root, "test")


def remove(pattern: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for path in root.glob(pattern):
            path.unlink()

    return change


def add_jpeg_mask(root: Path) -> None:
    (root / "masks/train/a.png").rename(root / "masks/train/a.jpg")


def add_same_name(root: Path) -> None:
    Image.new("RGB", (8, 6)).save(root / "images/train/a.webp")


def remove_masks(root: Path) -> None:
    (root / "masks").rename(root / "labels")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("masks/train/a.png"), r"images/train: a has no mask \(1 in all\)"),
        (remove("images/train/*.jpg"), r"masks/train: a, b have no image \(2 in all\)"),
        (remove("images/train/**/*.jpg"), r"images/train: holds no image file"),
        (remove("masks/train/**/*.png"), r"masks/train: holds no image file"),
        (add_jpeg_mask, r"masks/train/a.jpg: a mask must be a PNG file"),
        (add_same_name, r"images/train: more than one file is called a; keep one"),
        (remove_masks, r"masks: no such folder; a data set has images/SPLIT and masks/SPLIT"),
        (remove("dataset.yaml"), r"dataset.yaml: no such file"),
    ],
)
def test_a_folder_that_is_no_data_set_is_explained(
    change: Callable[[Path], None], message: str, root: Path
) -> None:
    change(root)
    with pytest.raises(DataError, match=f"^{root}/{message}"):
        FolderDataset(root, "train")


def test_of_many_pictures_without_mask_the_first_are_named(root: Path) -> None:
    for i in range(9):
        Image.new("RGB", (8, 6)).save(root / "images" / "train" / f"x{i}.png")
    with pytest.raises(DataError, match=r"x0, x1, x2, x3, x4, \.\.\. have no mask \(9 in all\)"):
        FolderDataset(root, "train")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="none: no such folder; give a data set folder, or 'shapes'"
    ):
        FolderDataset(tmp_path / "none", "train")


def test_without_a_yaml_both_ways_out_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_scheme(tmp_path / "dataset.yaml")
    assert f"`atrous data check {tmp_path} --write` proposes one" in str(caught.value)
    assert "--classes road=0 sky=1" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"classes: [\n  {name: a, value: 0}\n", r"dataset.yaml:3:1: is not YAML: .*; mend this"),
        (b"classes: !!python/object/apply:os.system [ls]", r"dataset.yaml:1:10: is not YAML"),
        (b"\xff\xfe\xfa", r"cannot be read as YAML \(UnicodeDecodeError\)"),
        (b"name: \x07", r"cannot be read as YAML \(ReaderError\)"),
        (b"name: 2024-13-45", r"cannot be read as YAML \(ValueError\)"),
        (b"[" * 5000, r"cannot be read as YAML \(RecursionError\)"),
        (b"#" * 1_000_001, r"is larger than 1,000,000 bytes"),
        (b"", r"valid dictionary"),
        (b"clases: []", r"unknown key 'clases'; did you mean 'classes'\?"),
    ],
)
def test_a_bad_yaml_is_explained_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_scheme(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_yaml_as_other_systems_write_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + YAML.replace("\n", "\r\n").encode())
    assert read_scheme(path).names == ("road", "sky")


@pytest.mark.parametrize(("split", "length"), [("train", 367), ("val", 101)])
def test_camvid_is_read(camvid: Path, split: str, length: int) -> None:
    dataset = FolderDataset(camvid, split)
    assert (len(dataset), len(dataset.classes)) == (length, 11)
    image, labels, _ = dataset[length - 1]
    assert image.shape == (360, 480, 3)
    assert set(np.unique(labels).tolist()) <= {*range(11), IGNORE_INDEX}
