import shutil

from PIL import Image

from atrous.data.doctor.meaning import Meaning
from atrous.data.doctor.splits import (
    class_counts,
    class_findings,
    overlap_findings,
    seen_findings,
)
from atrous.data.labels import LabelScheme


def test_the_copy_outside_of_train_is_named(make_set, survey_of):
    root = make_set()
    Image.open(root / "images/train/002.png").save(root / "images/val/000.bmp")
    (root / "images/val/000.png").unlink()
    shutil.copy(root / "images/train/000.png", root / "images/train/001.png")
    across, within = overlap_findings(survey_of(root))
    assert (across.kind, across.severity, across.count) == ("split-overlap", "error", 1)
    assert across.places[0] == ("images/val/000.bmp", "is images/train/002.png")
    assert f"mv -n {root}/masks/val/000.png" in across.cure
    assert (within.kind, within.severity) == ("copies", "note")
    assert within.places[0] == ("images/train/001.png", "is images/train/000.png")


def test_different_pictures_do_not_overlap(make_set, survey_of):
    assert overlap_findings(survey_of(make_set())) == []


def test_classes_that_a_split_or_all_lack(make_set, survey_of):
    root = make_set(values=(0, 1))
    Image.new("L", (10, 8), 2).save(root / "masks/val/000.png")
    meaning = Meaning(LabelScheme.from_words(["a", "b", "c", "d"]))
    found = class_findings(survey_of(root), meaning)
    assert [(f.kind, f.severity, f.what) for f in found] == [
        ("class-unused", "warning", "no mask has 'd'"),
        ("class-missing", "warning", "train has no pixel of 'c'"),
    ]
    shutil.copy(root / "masks/val/000.png", root / "masks/train/000.png")
    shutil.copy(root / "masks/val/001.png", root / "masks/val/000.png")
    assert class_findings(survey_of(root), meaning)[1].severity == "note"


def test_pixels_are_counted_by_class(make_set, survey_of, scheme):
    survey = survey_of(make_set(values=(0, 0, 0, 2)))
    assert class_counts(survey, Meaning(scheme), "train").tolist() == [180, 0, 60]


def test_a_set_without_good_masks_is_left_to_others(make_set, survey_of, scheme):
    root = make_set()
    for path in (root / "masks").glob("*/*.png"):
        path.write_bytes(b"")
    assert class_findings(survey_of(root), Meaning(scheme)) == []


def test_a_split_that_is_measured_on_should_not_be_learnt_from():
    assert seen_findings("train", "val") == seen_findings("train+extra", "val") == []
    for train, val in (("train+val", "val"), ("val", "val"), ("train", "val+train")):
        (found,) = seen_findings(train, val)
        assert (found.kind, found.severity) == ("val-is-learnt", "warning")
