import numpy as np
import pytest
import yaml
from PIL import Image

from atrous.data.doctor.masks import mask_findings
from atrous.data.doctor.meaning import Meaning
from atrous.data.labels import LabelScheme


def found_in(survey, scheme):
    return {finding.kind: finding for finding in mask_findings(survey, Meaning(scheme))}


def test_a_good_set_has_no_findings(make_set, survey_of, scheme):
    assert found_in(survey_of(make_set()), scheme) == {}


def test_values_of_no_class_are_counted_and_the_worst_file_is_first(make_set, survey_of, scheme):
    root = make_set()
    for name, pixels in (("train/000", 5), ("val/001", 20)):
        mask = np.zeros((8, 10), dtype=np.uint8)
        mask.reshape(-1)[:pixels] = 7
        mask[-1, -1] = 9
        Image.fromarray(mask).save(root / f"masks/{name}.png")
    finding = found_in(survey_of(root), scheme)["values-outside"]
    assert finding.what == "2 masks with values of no class: 7 at 25, 9 at 2 pixels"
    assert [place.file for place in finding.places] == ["masks/val/001.png", "masks/train/000.png"]
    assert finding.places[0].detail == "7 at 20, 9 at 1 pixels"
    assert "dataset.yaml: ignore: [7, 9]," in finding.cure


def test_smoothed_masks_are_not_to_be_ignored_away(make_set, survey_of, scheme):
    root = make_set()
    ramp = np.arange(80, dtype=np.uint8).reshape(8, 10)
    Image.fromarray(ramp).save(root / "masks/val/000.png")
    assert "resized with smoothing" in found_in(survey_of(root), scheme)["values-outside"].cure


@pytest.mark.parametrize("ignore", [(), (255,)])
def test_binary_masks_are_one_finding_with_the_line_that_cures_it(make_set, survey_of, ignore):
    survey = survey_of(make_set(values=(0, 255)))
    found = found_in(survey, LabelScheme.from_words(["no", "yes"], ignore=ignore))
    assert set(found) == {"binary-masks"}
    assert found["binary-masks"].count == 6
    line = found["binary-masks"].cure.removeprefix("dataset.yaml: ")
    assert found_in(survey, LabelScheme.parse(yaml.safe_load(line), "cure")) == {}


def test_255_beside_other_values_is_no_binary_mask(make_set, survey_of, scheme):
    found = found_in(survey_of(make_set(values=(0, 1, 255))), scheme)
    assert set(found) == {"values-outside"}


def test_jpeg_masks_are_found_with_their_stray_values(make_set, survey_of, scheme):
    root = make_set()
    Image.effect_noise((10, 8), 50).save(root / "masks/val/000.jpg")
    (root / "masks/val/000.png").unlink()
    finding = found_in(survey_of(root), scheme)["mask-lossy"]
    assert finding.severity == "error"
    assert finding.places[0].file == "masks/val/000.jpg"
    assert int(finding.places[0].detail.split()[0]) > 2


def test_colour_masks_need_colours(make_set, survey_of, scheme):
    root = make_set()
    colored = np.zeros((8, 10, 3), dtype=np.uint8)
    colored[:6] = (128, 64, 128)
    Image.fromarray(colored).save(root / "masks/train/001.png")
    finding = found_in(survey_of(root), scheme)["mask-colours"]
    assert "[128, 64, 128], [0, 0, 0], but class 'a' has no color" in finding.what
    assert finding.cure.endswith("{name: a, value: 0, color: [128, 64, 128]}")
    whole = LabelScheme.from_words(["a=0#804080", "b=1#010101", "c=2#020202"])
    assert set(found_in(survey_of(root), whole)) == {"ignored-share"}  # black


def test_the_share_of_ignored_pixels_and_masks_of_nothing_else(make_set, survey_of):
    root = make_set(values=(0, 1, 1, 255))
    scheme = LabelScheme.from_words(["a", "b"], ignore=[255])
    found = found_in(survey_of(root), scheme)
    assert (found["ignored-share"].severity, set(found)) == ("note", {"ignored-share"})
    assert found["ignored-share"].what == "25.0 % of all pixels are ignored"
    for number in range(3):
        Image.new("L", (10, 8), 255).save(root / f"masks/train/{number:03d}.png")
    found = found_in(survey_of(root), scheme)
    assert found["ignored-share"].severity == "warning"
    assert found["all-ignored"].count == 3
