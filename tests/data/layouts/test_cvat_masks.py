import numpy as np
import pytest
from PIL import Image

from atrous.data.layouts import cvat_masks
from atrous.errors import DataError

MAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:250,50,83::\nroad:128,0,7::\n"
COLORS = np.array([(0, 0, 0), (250, 50, 83), (128, 0, 7)], dtype=np.uint8)


@pytest.fixture
def root(tmp_path, write_picture, write_mask, drawn):
    (tmp_path / "labelmap.txt").write_text(MAP)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/default.txt").write_text("a\ntown/b\n")
    write_picture(tmp_path / "JPEGImages/a.jpg")
    write_picture(tmp_path / "JPEGImages/town/b.png")
    write_mask(tmp_path / "SegmentationClass/a.png", COLORS[drawn([0, 1, 2])])
    palette = Image.fromarray(drawn([0, 1, 2], 1)[:, ::-1].copy(), mode="P")
    palette.putpalette(COLORS.ravel().tolist())
    (tmp_path / "SegmentationClass/town").mkdir()
    palette.save(tmp_path / "SegmentationClass/town/b.png")
    return tmp_path


def test_colours_become_labels(root, drawn) -> None:
    assert cvat_masks.recognize(root)
    dataset = cvat_masks.open_split(root, "default")
    assert dataset.classes == ("background", "car", "road")
    assert dataset.palette == ((0, 0, 0), (250, 50, 83), (128, 0, 7))
    np.testing.assert_array_equal(dataset[0].labels, drawn([0, 1, 2]))


def test_a_palette_counts_by_its_colours(root, drawn) -> None:
    # With the colours in another order, the same indices mean other classes.
    path = root / "SegmentationClass/town/b.png"
    image = Image.open(path)
    image.load()
    image.putpalette(COLORS[[2, 0, 1]].ravel().tolist())
    image.save(path)
    sample = cvat_masks.open_split(root, "default")[1]
    np.testing.assert_array_equal(sample.labels, np.array([2, 0, 1])[drawn([0, 1, 2], 1)[:, ::-1]])
    assert sample.name == "town/b"


def test_what_is_wrong_is_named(root, write_mask) -> None:
    write_mask(root / "SegmentationClass/a.png", np.full((8, 10, 3), 9))
    with pytest.raises(DataError, match=r"a.png: value 0x090909 at 80 pixels is outside the 3"):
        cvat_masks.open_split(root, "default")[0]
    (root / "labelmap.txt").write_text("car:red::\n")
    with pytest.raises(DataError, match=r"labelmap.txt: 'car:red::' does not read NAME:R,G,B::"):
        cvat_masks.open_split(root, "default")
    (root / "labelmap.txt").write_text("car:1,2,300::\nroad:1,2,3::\n")
    with pytest.raises(DataError, match=r"labelmap.txt: classes.0.color.2: "):
        cvat_masks.open_split(root, "default")
    (root / "JPEGImages/a.jpg").unlink()
    with pytest.raises(DataError, match=r"JPEGImages/a.jpg: no such file; tick 'save images'"):
        cvat_masks.open_split(root, "default")
