import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from atrous.data.layouts import voc
from atrous.data.palettes import default_palette
from atrous.errors import DataError, MissingExtraError

VALUES = [*range(21), 255]


@pytest.fixture
def masks(drawn) -> dict[str, np.ndarray]:
    return {f"2007_00000{k}": drawn(VALUES, seed=k) for k in (1, 2, 3)}


@pytest.fixture
def root(tmp_path: Path, masks, write_picture) -> Path:
    home = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("SegmentationClass", "ImageSets/Segmentation"):
        (home / folder).mkdir(parents=True)
    for name, values in masks.items():
        write_picture(home / "JPEGImages" / f"{name}.jpg")
        palette = Image.fromarray(values, mode="P")
        palette.putpalette([channel for color in default_palette(256) for channel in color])
        palette.save(home / "SegmentationClass" / f"{name}.png")
    write_list(home, "train", ["2007_000003", "2007_000001"])
    write_list(home, "val", ["2007_000002"])
    return tmp_path / "VOCdevkit"


def write_list(home: Path, split: str, names: list[str]) -> None:
    (home / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names) + "\n")


def test_a_list_is_read_in_its_order(root, masks) -> None:
    dataset = voc.open_split(root, "train")
    assert [dataset[k].name for k in range(len(dataset))] == ["2007_000003", "2007_000001"]
    for sample in (dataset[0], dataset[1]):
        np.testing.assert_array_equal(sample.labels, masks[sample.name])


def test_the_classes_and_colours_are_the_customary_ones(root) -> None:
    dataset = voc.open_split(root, "val")
    assert len(dataset.classes) == 21
    assert (dataset.classes[0], dataset.classes[15]) == ("background", "person")
    assert dataset.palette[15] == (192, 128, 128)
    assert dataset.name == "Pascal VOC 2012"


def test_the_folder_itself_and_those_above_are_recognized(root) -> None:
    for folder in (root, root / "VOC2012", root.parent):
        assert voc.recognize(folder)
        assert len(voc.open_split(folder, "val")) == 1
    assert not voc.recognize(root / "VOC2012" / "JPEGImages")


def test_masks_saved_as_colours_are_read_too(root, masks, write_mask) -> None:
    colors = np.array(default_palette(256), dtype=np.uint8)
    colors[255] = (224, 224, 192)
    values = masks["2007_000002"]
    write_mask(root / "VOC2012/SegmentationClass/2007_000002.png", colors[values])
    np.testing.assert_array_equal(voc.open_split(root, "val")[0].labels, values)


def test_trainaug_prefers_its_own_masks(root, drawn, write_mask, masks) -> None:
    home = root / "VOC2012"
    write_list(home, "trainaug", ["2007_000001", "2007_000002"])
    grown = drawn(VALUES, seed=9)
    write_mask(home / "SegmentationClassAug/2007_000001.png", grown)
    dataset = voc.open_split(root, "trainaug")
    np.testing.assert_array_equal(dataset[0].labels, grown)
    np.testing.assert_array_equal(dataset[1].labels, masks["2007_000002"])
    np.testing.assert_array_equal(voc.open_split(root, "train")[1].labels, masks["2007_000001"])


def test_what_is_missing_is_named_with_its_cure(root) -> None:
    home = root / "VOC2012"
    with pytest.raises(DataError, match=r"trainaug.txt: no such list; there is train, val"):
        voc.open_split(root, "trainaug")
    (home / "SegmentationClass/2007_000002.png").unlink()
    with pytest.raises(DataError, match=r"2007_000002.png: no such file; unpack the masks there"):
        voc.open_split(root, "val")
    (home / "JPEGImages/2007_000002.jpg").unlink()
    with pytest.raises(DataError, match=r"2007_000002.jpg: no such file; unpack the pictures"):
        voc.open_split(root, "val")
    with pytest.raises(
        DataError, match=r"none: holds no JPEGImages beside SegmentationClass; give"
    ):
        voc.open_split(root / "none", "val")


@pytest.mark.parametrize("name", ["../2007_000001", "/etc/passwd", "a 1"])
def test_a_list_names_pictures_only(name: str, root) -> None:
    write_list(root / "VOC2012", "val", [name])
    with pytest.raises(DataError, match=r"val.txt: .*(does not lead to a file|is no name)"):
        voc.open_split(root, "val")
    with pytest.raises(DataError, match="does not lead to a file"):
        voc.open_split(root, "../../secret")


@pytest.fixture
def sbd(root, masks) -> Path:
    """Move one mask of the list trainaug to where SBD has it."""
    home = root / "VOC2012"
    write_list(home, "trainaug", ["2007_000001"])
    (home / "SegmentationClass/2007_000001.png").unlink()
    (home / "cls").mkdir()
    return home / "cls/2007_000001.mat"


def test_masks_of_sbd_are_read_with_scipy(sbd, root, masks) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="reads SBD's .mat files; not installed")
    content = {"GTcls": {"Segmentation": masks["2007_000001"], "CategoriesPresent": [1]}}
    scipy_io.savemat(sbd, content, do_compression=True)
    np.testing.assert_array_equal(voc.open_split(root, "trainaug")[0].labels, masks["2007_000001"])
    sbd.write_bytes(sbd.read_bytes()[:300])
    with pytest.raises(DataError, match=r"2007_000001.mat: is not a mask of SBD; unpack"):
        voc.open_split(root, "trainaug")[0]


def test_masks_of_sbd_are_taken_out_of_their_structure(sbd, root, masks, monkeypatch) -> None:
    values = masks["2007_000001"]
    sbd.write_bytes(b"matlab")

    def loadmat(file: io.BytesIO) -> dict[str, np.ndarray]:
        assert file.read() == b"matlab"
        structure = np.empty((1, 1), dtype=[("Segmentation", object)])
        structure["Segmentation"][0, 0] = values
        return {"GTcls": structure}

    monkeypatch.setitem(sys.modules, "scipy", ModuleType("scipy"))
    monkeypatch.setitem(sys.modules, "scipy.io", SimpleNamespace(loadmat=loadmat))
    np.testing.assert_array_equal(voc.open_split(root, "trainaug")[0].labels, values)


def test_masks_of_sbd_without_scipy_name_the_extra(sbd, root, monkeypatch) -> None:
    sbd.write_bytes(b"matlab")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"scipy is not installed: .*atrous\[datasets\]"):
        voc.open_split(root, "trainaug")[0]
