import json

import numpy as np
import pytest

from atrous.data.layouts import coco_json
from atrous.errors import DataError

CAT, DOG = 17, 3  # ids of categories, not in order
SMALL = [2, 2, 4, 2, 4, 4, 2, 4]  # x from 2 to 4, y from 2 to 4
LARGE = [1, 1, 9, 1, 9, 6, 1, 6]


def annotation(picture, category, segmentation, **more):
    return {"image_id": picture, "category_id": category, "segmentation": segmentation} | more


@pytest.fixture
def document():
    size = {"height": 8, "width": 10}
    crowd = {"counts": [76, 4], "size": [8, 10]}  # the lower half of the last column
    packed = {"counts": "j03500000e0N", "size": [8, 10]}
    return {
        "images": [
            {"id": 5, "file_name": "a.jpg", **size},
            {"id": 2, "file_name": "more/b.jpg", **size},
            {"id": 9, "file_name": "none.jpg", **size},
        ],
        "categories": [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}],
        "annotations": [
            annotation(5, DOG, [SMALL], id=1),
            annotation(5, CAT, [LARGE], id=2),
            annotation(5, CAT, crowd, iscrowd=1, id=3),
            annotation(2, DOG, packed, id=4),
        ],
    }


@pytest.fixture
def root(tmp_path, document, write_picture):
    for name in ("a.jpg", "more/b.jpg", "none.jpg"):
        write_picture(tmp_path / "images/val2017" / name)
    write(tmp_path, document)
    return tmp_path


def write(root, document) -> None:
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations/instances_val2017.json").write_text(json.dumps(document))


def test_the_smaller_of_two_outlines_shows(root) -> None:
    dataset = coco_json.open_split(root, "val")
    expected = np.zeros((8, 10))
    expected[1:6, 1:9] = 2
    expected[2:4, 2:4] = 1
    expected[4:, 9] = 2
    np.testing.assert_array_equal(dataset[0].labels, expected)
    assert dataset[0].name == "a"


def test_classes_go_by_the_ids_of_their_categories(root) -> None:
    assert coco_json.open_split(root, "val").classes == ("background", "dog", "cat")


def test_packed_run_lengths_go_down_the_columns(root) -> None:
    expected = np.zeros((8, 10))  # which pycocotools writes as above
    expected[2:5, 3:7] = 1
    expected[7, 9] = 1
    np.testing.assert_array_equal(coco_json.open_split(root, "val")[1].labels, expected)


def test_a_picture_without_objects_is_background(root) -> None:
    dataset = coco_json.open_split(root, "val")
    assert (len(dataset), dataset[2].name) == (3, "none")
    assert (dataset[2].labels == 0).all()


def test_pictures_are_found_where_tools_put_them(root, document) -> None:
    assert coco_json.recognize(root)
    (root / "images/val2017").rename(root / "val")
    assert coco_json.open_split(root, "val")[1].name == "more/b"
    (root / "annotations/instances_val2017.json").rename(root / "val/_annotations.coco.json")
    assert coco_json.recognize(root)
    assert coco_json.open_split(root, "val")[0].labels[2, 2] == 1


def put(*path, value):
    def change(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("images", 0, "file_name", value="../../a.jpg"), r"does not lead to a file in"),
        (put("images", 0, "file_name", value="c.jpg"), r"c.jpg: no such file; put the pictures"),
        (put("annotations", 0, "category_id", value=1), r", annotation 1: has no known category"),
        (put("annotations", 0, "segmentation", value=[[1, 2, 3, 4]]), r"annotation 1: a polygon"),
        (put("annotations", 0, "segmentation", value=None), r"not in the format of COCO \(TypeErr"),
        (put("annotations", value={"a": 1}), r"is not in the format of COCO \(AttributeError"),
        (put("annotations", value=[annotation(5, DOG, [])]), r"has boxes but no outlines; export"),
        (put("images", 0, "height", value="x"), r"is not in the format of COCO \(ValueError"),
        (put("categories", 0, "name", value="dog"), r"two categories have one name or id"),
        (put("images", value=[]), r"val2017.json: lists no picture; export it anew"),
        (lambda document: document.pop("images"), r"in the format of COCO \(KeyError: 'images'\)"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(change, message, root, document) -> None:
    change(document)
    write(root, document)
    with pytest.raises(DataError, match=message):
        coco_json.open_split(root, "val")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("images", 0, "height", value=9), r"is 10 x 9, but its picture is 10 x 8"),
        (put("annotations", 2, "segmentation", "counts", value=[3]), r"add up to 3, expected"),
    ],
)
def test_what_does_not_fit_the_picture_is_told(change, message, root, document) -> None:
    change(document)
    write(root, document)
    with pytest.raises(DataError, match=message):
        coco_json.open_split(root, "val")[0]


def test_a_missing_file_names_those_that_exist(root) -> None:
    with pytest.raises(DataError, match=r"instances_test.json: no such file; .* instances_val2017"):
        coco_json.open_split(root, "test")
