import numpy as np
from PIL import Image

from atrous.data.doctor.picture import draw_samples
from atrous.data.labels import LabelScheme


def colors_in(picture):
    return {tuple(color) for color in np.asarray(picture).reshape(-1, 3).tolist()}


def test_masks_are_in_the_colours_of_their_classes(make_set, survey_of):
    scheme = LabelScheme.from_words(["a#0a141e", "b=1#28323c", "z=99#fefdfc"], ignore=[2])
    picture = draw_samples(survey_of(make_set(values=(0, 1, 2, 3))), scheme)
    assert picture.mode == "RGB"
    # Of the classes, of ignored pixels, and of those in no class.
    assert {(10, 20, 30), (40, 50, 60), (0, 0, 0), (255, 0, 255)} <= colors_in(picture)


def test_faulty_pairs_are_left_out(make_set, survey_of, scheme):
    root = make_set()
    whole = draw_samples(survey_of(root), scheme)
    for path in (root / "masks/train").iterdir():
        path.write_bytes(b"")
    left = draw_samples(survey_of(root), scheme)
    assert left.height < whole.height


def test_an_empty_set_has_a_legend_only(tmp_path, survey_of, scheme):
    assert draw_samples(survey_of(tmp_path), scheme).height < 60


def test_colour_masks_are_drawn_too(make_set, survey_of):
    root = make_set()
    for path in (root / "masks").glob("*/*.png"):
        Image.new("RGB", (10, 8), (200, 100, 50)).save(path)
    scheme = LabelScheme.from_words(["a=0#c86432", "b=1#00ff00"])
    assert (200, 100, 50) in colors_in(draw_samples(survey_of(root), scheme))
