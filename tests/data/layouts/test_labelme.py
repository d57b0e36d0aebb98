import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from atrous.data.layouts import labelme
from atrous.errors import DataError


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind} | more


BOX = [[1, 1], [6, 1], [6, 5], [1, 5]]


@pytest.fixture
def root(tmp_path, write_picture):
    for name in ("train/a", "val/town/b"):
        write_picture(tmp_path / f"{name}.jpg")
    write(tmp_path / "train/a.json", shape("dog", BOX))
    write(tmp_path / "val/town/b.json", shape("cat", BOX))
    return tmp_path


def write(path, *shapes, **more) -> None:
    document = {"version": "5.5.0", "shapes": shapes, "imageHeight": 8, "imageWidth": 10}
    path.write_text(json.dumps(document | more))


def test_classes_are_those_of_all_splits(root) -> None:
    assert labelme.recognize(root)
    for split in ("train", "val"):
        assert labelme.open_split(root, split).classes == ("background", "cat", "dog")
    sample = labelme.open_split(root, "val")[0]
    expected = np.zeros((8, 10))
    expected[1:5, 1:6] = 1
    np.testing.assert_array_equal(sample.labels, expected)
    assert sample.name == "town/b"


def test_later_shapes_lie_on_top_and_some_are_ignored(root) -> None:
    write(
        root / "train/a.json",
        shape("dog", BOX),
        shape("cat", [[9, 4], [5, 0]], "rectangle"),
        shape("__ignore__", [[2, 2], [2, 4], [3, 4], [3, 2]], None),
        shape("_background_", [[8, 0], [9, 0], [9, 1], [8, 1]]),
    )
    expected = np.zeros((8, 10))
    expected[1:5, 1:6] = 2
    expected[0:4, 5:9] = 1
    expected[2:4, 2] = 255
    expected[0, 8] = 0
    np.testing.assert_array_equal(labelme.open_split(root, "train")[0].labels, expected)


def test_a_circle_has_a_centre_and_a_point_on_its_rim(root) -> None:
    write(root / "train/a.json", shape("dog", [[5, 4], [5, 6.5]], "circle"))
    y, x = np.mgrid[0.5:8, 0.5:10]
    expected = 2 * (np.hypot(x - 5, y - 4) < 2.5)
    np.testing.assert_array_equal(labelme.open_split(root, "train")[0].labels, expected)


def test_a_mask_lies_at_its_corner(root) -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)).save(file, "PNG")
    encoded = base64.b64encode(file.getvalue()).decode()
    write(root / "train/a.json", shape("dog", [[4, 6], [6, 7]], "mask", mask=encoded))
    expected = np.zeros((8, 10))
    expected[6:, 4:7] = [[0, 2, 2], [2, 0, 0]]
    np.testing.assert_array_equal(labelme.open_split(root, "train")[0].labels, expected)


def test_a_list_gives_the_order_of_the_classes(root) -> None:
    (root / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    dataset = labelme.open_split(root, "train")
    assert dataset.classes == ("background", "dog", "cat")
    assert dataset[0].labels.max() == 1
    (root / "labels.txt").write_text("cat\nbird\n")
    with pytest.raises(DataError, match=r"a.json, shape 1: is labelled 'dog'; add that to labels"):
        labelme.open_split(root, "train")[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape("dog", [[1, 1], [2, 2]], "line"), r"shape 1: a line has no area; draw a polygon"),
        (shape("dog", [[1, 1]], "circle"), r"shape 1: a circle has no area"),
        (shape("dog", [[1, 1], [2, 2]]), r"shape 1: a polygon needs three points"),
        (shape("dog", [[1, 1], [2, 2]], "mask", mask="?"), r"shape 1: its mask is not base 64"),
        (shape("dog", "points"), r"a.json: is not a file of labelme \(ValueError"),
        ({"label": "dog"}, r"a.json: is not a file of labelme \(KeyError: 'points'\)"),
    ],
)
def test_a_shape_that_cannot_be_painted_is_told(wrong, message, root) -> None:
    write(root / "train/a.json", wrong)
    with pytest.raises(DataError, match=message):
        labelme.open_split(root, "train")[0]


def test_other_files_and_sizes_are_refused(root) -> None:
    write(root / "train/a.json", shape("dog", BOX), imageHeight=10, imageWidth=8)
    with pytest.raises(DataError, match=r"a.json: is 8 x 10, but its picture is 10 x 8"):
        labelme.open_split(root, "train")[0]
    (root / "train/a.json").write_text('{"shapes": 1}')
    with pytest.raises(DataError, match=r"a.json: is not a file of labelme \(TypeError"):
        labelme.open_split(root, "train")
    (root / "train/a.json").unlink()
    with pytest.raises(DataError, match=r"train/a.json: no such file; save it in labelme"):
        labelme.open_split(root, "train")
