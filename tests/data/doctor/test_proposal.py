import numpy as np
import pytest
import yaml
from PIL import Image

from atrous.data.doctor.proposal import png_palette, propose_scheme, scheme_yaml
from atrous.data.labels import LabelScheme


def entries(scheme):
    return [(entry.name, entry.value, entry.color) for entry in scheme.classes]


@pytest.mark.parametrize(
    ("values", "classes", "ignore"),
    [
        ((0, 255), [("background", 0, None), ("foreground", 255, None)], ()),
        ((0, 1), [("class 0", 0, None), ("class 1", 1, None)], ()),
        ((0, 1, 255), [("class 0", 0, None), ("class 1", 1, None)], (255,)),
        ((3, 7, 9), [("class 3", 3, None), ("class 7", 7, None), ("class 9", 9, None)], ()),
    ],
)
def test_grey_values(make_set, survey_of, values, classes, ignore):
    scheme = propose_scheme(survey_of(make_set(values=values)))
    assert (entries(scheme), scheme.ignore) == (classes, ignore)


@pytest.mark.parametrize("values", [(5,), (255,)])
def test_one_value_tells_nothing(make_set, survey_of, values):
    assert propose_scheme(survey_of(make_set(values=values))) is None


def test_no_masks_tell_nothing(tmp_path, survey_of):
    assert propose_scheme(survey_of(tmp_path)) is None


def test_smoothed_edges_do_not_hide_two_classes(make_set, survey_of):
    root = make_set(values=(0, 255), size=(60, 60))
    mask = np.zeros((60, 60), dtype=np.uint8)
    mask[:, 30:] = 255
    mask[0, :40] = np.arange(10, 50)
    Image.fromarray(mask).save(root / "masks/train/000.png")
    assert propose_scheme(survey_of(root)).names == ("background", "foreground")


def test_the_colours_of_a_palette(make_set, survey_of):
    root = make_set(values=(0, 2, 255))
    for path in (root / "masks").glob("*/*.png"):
        mask = Image.fromarray(np.resize(np.array([0, 2, 255], np.uint8), (8, 10)))
        mask.putpalette([channel for i in range(256) for channel in (i, 255 - i, 7)])
        mask.save(path)
    assert len(png_palette(path)) == 256
    scheme = propose_scheme(survey_of(root))
    assert entries(scheme) == [("class 0", 0, (0, 255, 7)), ("class 2", 2, (2, 253, 7))]
    assert scheme.ignore == (255,)


def test_colours(make_set, survey_of):
    root = make_set()
    for path in (root / "masks").glob("*/*.png"):
        mask = np.zeros((8, 10, 3), dtype=np.uint8)
        mask[:4] = (128, 64, 128)
        mask[0, 0] = (1, 2, 3)
        Image.fromarray(mask).save(path)
    assert entries(propose_scheme(survey_of(root))) == [
        ("class 0", 0, (0, 0, 0)),
        ("class 1", 1, (1, 2, 3)),
        ("class 2", 2, (128, 64, 128)),
    ]


def test_black_and_white_colours_are_two_classes(make_set, survey_of):
    root = make_set()
    for path in (root / "masks").glob("*/*.png"):
        mask = np.zeros((8, 10, 3), dtype=np.uint8)
        mask[:4] = 255
        Image.fromarray(mask).save(path)
    assert propose_scheme(survey_of(root)).names == ("background", "foreground")


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_a_file_without_palette_has_none(tmp_path, name):
    Image.new("L", (3, 3)).save(tmp_path / name)
    assert png_palette(tmp_path / name) == []


@pytest.mark.parametrize(
    "name", ["road", "yes", "null", "12", "a: b", "#x", "Bäume 🌳", 'q"u', " "]
)
def test_the_yaml_is_read_back_as_it_was(name):
    scheme = LabelScheme.from_words(["b=4#010203", "c=9"], ignore=[255, 12])
    entry = scheme.classes[0].model_copy(update={"name": name})
    scheme = scheme.model_copy(update={"name": name, "classes": (entry, scheme.classes[1])})
    assert LabelScheme.parse(yaml.safe_load(scheme_yaml(scheme)), "yaml") == scheme
