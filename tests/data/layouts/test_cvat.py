import numpy as np
import pytest

from atrous.data.layouts import cvat
from atrous.errors import DataError

META = """<meta><project><labels>
  <label><name>dog</name><color>#ff0000</color></label>
  <label><name>cat</name><color>#00ff00</color></label>
</labels></project></meta>"""
BOX = '<box label="dog" xtl="1" ytl="1" xbr="6" ybr="5"/>'


@pytest.fixture
def root(tmp_path, write_picture):
    write_picture(tmp_path / "train/images/a.jpg")
    write(tmp_path / "train", image(BOX))
    return tmp_path


def image(shapes="", name="a.jpg", subset="", size='width="10" height="8"') -> str:
    subset = f'subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}" {subset} {size}>{shapes}</image>'


def write(folder, images: str, *, before: str = "", meta: str = META) -> None:
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{before}'
    text += f"<annotations><version>1.1</version>{meta}{images}</annotations>"
    (folder / "annotations.xml").write_text(text)


def labels(root, shapes: str) -> np.ndarray:
    write(root / "train", image(shapes))
    return cvat.open_split(root, "train")[0].labels


def test_labels_come_after_the_background(root) -> None:
    assert cvat.recognize(root)
    dataset = cvat.open_split(root, "train")
    assert dataset.classes == ("background", "dog", "cat")
    expected = np.zeros((8, 10))
    expected[1:5, 1:6] = 1
    np.testing.assert_array_equal(dataset[0].labels, expected)
    assert dataset[0].name == "a"


def test_shapes_are_painted_by_their_z_order(root) -> None:
    polygon = '<polygon label="cat" points="0,0;10,0;10,3;0,3" z_order="{}"/>'
    expected = np.zeros((8, 10))
    expected[:3] = 2
    expected[1:5, 1:6] = 1
    np.testing.assert_array_equal(labels(root, BOX + polygon.format(-1)), expected)
    expected[:3] = 2
    np.testing.assert_array_equal(labels(root, BOX + polygon.format(0)), expected)


def test_a_mask_has_runs_within_its_box(root) -> None:
    mask = '<mask label="cat" rle="1, 3, 2" left="4" top="2" width="3" height="2"/>'
    expected = np.zeros((8, 10))
    expected[2:4, 4:7] = [[0, 2, 2], [2, 0, 0]]
    np.testing.assert_array_equal(labels(root, mask), expected)


def test_an_ellipse_and_a_box_may_be_turned(root) -> None:
    ellipse = '<ellipse label="dog" cx="5" cy="4" rx="4.4" ry="1.4" rotation="90"/>'
    y, x = np.mgrid[0.5:8, 0.5:10]
    expected = ((x - 5) / 1.4) ** 2 + ((y - 4) / 4.4) ** 2 < 1
    np.testing.assert_array_equal(labels(root, ellipse), expected)
    # From upright to the right: what was on top comes to lie on the right.
    triangle = '<polygon label="dog" points="4,0;6,0;5,8" rotation="{}"/>'
    expected = np.zeros((8, 10))
    expected[3:5, 5:9] = 1
    np.testing.assert_array_equal(labels(root, triangle.format(90)), expected)


def test_one_export_may_hold_several_subsets(root, write_picture) -> None:
    for name in ("images/Validation/b.jpg", "images/c.jpg"):
        write_picture(root / name)
    write(root, image(BOX, "b.jpg", "Validation") + image("", "c.jpg", "test"))
    assert cvat.open_split(root, "val")[0].name == "b"
    assert (cvat.open_split(root, "test")[0].labels == 0).all()
    with pytest.raises(DataError, match=r"has no subset 'dev', there is Validation, test; set sub"):
        cvat.open_split(root, "dev")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(encoding: str, root) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE lolz [<!ENTITY a "aaa">'
    text += "".join(f'<!ENTITY a{k} "{"&a;" * 10}">' for k in range(9)) + "]><annotations/>"
    (root / "train/annotations.xml").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=r"annotations.xml: has a DOCTYPE 'lolz', which no export"):
        cvat.open_split(root, "train")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ('<polyline label="dog" points="1,1;2,2"/>', r"a.jpg: a polyline has no area; make it"),
        ('<polygon label="cow" points="1,1;2,2;3,1"/>', r"a.jpg: a shape is labelled 'cow'"),
        ('<polygon label="dog" points="1,1;2,2"/>', r"a.jpg: a polygon needs three points"),
        ('<polygon label="dog" points="1;2,2"/>', r"format 'CVAT for images 1.1' \(ValueError"),
        ('<box label="dog"/>', r"not in the format 'CVAT for images 1.1' \(KeyError: 'xtl'\)"),
        (
            '<ellipse label="dog" cx="5" cy="4" rx="nan" ry="1"/>',
            r"an ellipse of radii nan and 1.0",
        ),
        (
            '<ellipse label="dog" cx="5" cy="4" rx="-2" ry="1"/>',
            r"an ellipse of radii -2.0 and 1.0",
        ),
        (
            BOX.replace("/>", ' rotation="inf"/>'),
            r"\(ValueError: a rotation by inf cannot be drawn",
        ),
        ("<box", r"annotations.xml: is not XML \(not well-formed"),
    ],
)
def test_a_shape_that_cannot_be_painted_is_told(shapes, message, root) -> None:
    with pytest.raises(DataError, match=message):
        labels(root, shapes)


def test_what_is_missing_is_named(root) -> None:
    write(root / "train", image(name="../../a.jpg"))
    with pytest.raises(DataError, match=r"'../../a.jpg' does not lead to a file"):
        cvat.open_split(root, "train")
    write(root / "train", image(name="b.jpg"))
    with pytest.raises(DataError, match=r"images/b.jpg: no such file; tick 'save images'"):
        cvat.open_split(root, "train")
    write(root / "train", image(), meta="")
    with pytest.raises(DataError, match=r"annotations.xml: names 0 classes beside the background"):
        cvat.open_split(root, "train")
    write(root / "train", "")
    with pytest.raises(DataError, match=r"annotations.xml: lists no picture; export it anew"):
        cvat.open_split(root, "train")
    with pytest.raises(DataError, match=r"/annotations.xml: no such file"):
        cvat.open_split(root, "val")
