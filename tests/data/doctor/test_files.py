import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from atrous.data.doctor.files import file_findings, size_findings


def kinds(findings):
    return {finding.kind: finding for finding in findings}


def test_a_good_set_has_no_findings(make_set, survey_of):
    assert file_findings(survey_of(make_set())) == []


def test_all_unreadable_files_are_found_and_the_pair_is_set_aside(make_set, survey_of):
    root = make_set(pairs=4)
    for name in ("train/000", "val/002"):
        path = root / f"images/{name}.png"
        path.write_bytes(path.read_bytes()[:80])
    (root / "masks/train/003.png").write_bytes(b"")
    found = kinds(file_findings(survey_of(root)))
    assert set(found) == {"image-unreadable", "mask-unreadable"}
    images = found["image-unreadable"]
    assert [place.file for place in images.places] == ["images/train/000.png", "images/val/002.png"]
    assert "truncated" in images.places[0].detail
    assert f"{root}/masks/val/002.png {root}/aside/masks/" in images.cure
    assert f"{root}/images/train/003.png" in found["mask-unreadable"].cure


def test_partners_and_duplicates(make_set, survey_of):
    root = make_set()
    (root / "masks/train/001.png").unlink()
    (root / "images/val/002.png").unlink()
    Image.new("RGB", (10, 8)).save(root / "images/val/000.jpg")
    found = kinds(file_findings(survey_of(root)))
    assert set(found) == {"image-without-mask", "mask-without-image", "duplicate-name"}
    assert found["image-without-mask"].places[0].file == "images/train/001.png"
    assert found["mask-without-image"].places[0].file == "masks/val/002.png"
    assert found["duplicate-name"].places[0] == ("images/val/000.jpg", "also 000.png")


def test_sizes_that_differ_are_told_and_turned_ones_named(make_set, survey_of):
    root = make_set()
    Image.new("L", (8, 10)).save(root / "masks/train/000.png")
    (found,) = file_findings(survey_of(root))
    assert (found.kind, found.severity) == ("size-mismatch", "error")
    assert found.places[0].detail == "mask 8 x 10, image 10 x 8, turned"


def test_a_mask_in_tiff_is_converted_by_the_cure(make_set, survey_of):
    root = make_set()
    Image.open(root / "masks/val/001.png").save(root / "masks/val/001.tif")
    (root / "masks/val/001.png").unlink()
    (found,) = file_findings(survey_of(root))
    assert found.kind == "mask-not-png"
    command = found.cure.replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    subprocess.run(["sh", "-c", command], check=True)
    assert file_findings(survey_of(root)) == []


def test_files_that_nothing_reads_are_told(make_set, survey_of):
    root = make_set()
    (root / "images/train/clip.gif").write_bytes(b"GIF89a")
    (found,) = file_findings(survey_of(root))
    assert (found.kind, found.severity, found.count) == ("passed-over", "warning", 1)
    assert "(.gif)" in found.what


def test_without_splits_the_folders_there_are_named(tmp_path, survey_of):
    (tmp_path / "pics").mkdir()
    (found,) = file_findings(survey_of(tmp_path))
    assert (found.kind, found.severity) == ("no-split", "error")
    assert "pics" in found.what
    assert "images/train, masks/train" in found.cure
    (tmp_path / "images").mkdir()
    assert file_findings(survey_of(tmp_path))[0].what == "images/ hold no split"


def test_an_empty_split_is_an_error(make_set, survey_of):
    root = make_set()
    (root / "images/test").mkdir()
    found = file_findings(survey_of(root))
    assert [(f.kind, f.what) for f in found] == [
        ("empty-split", "images/test holds no image file"),
        ("empty-split", "masks/test holds no image file"),
    ]


@pytest.mark.parametrize(("crop", "small"), [(None, 1), ((8, 10), 1), ((4, 4), 0), ((9, 9), 3)])
def test_sizes_and_crop(make_set, survey_of, crop, small):
    root = make_set()
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        Image.fromarray(np.zeros((5, 6), np.uint8)).convert(mode).save(
            root / kind / "train/002.png"
        )
    found = kinds(size_findings(survey_of(root), "train", crop))
    assert found["sizes"].what == "train: images of 2 sizes, from 6 x 5 to 10 x 8"
    assert found["sizes"].severity == ("note" if crop else "warning")
    assert (found["smaller-than-crop"].count if small else len(found) - 1) == small


def test_one_size_is_a_note(make_set, survey_of):
    (found,) = size_findings(survey_of(make_set()), "train", None)
    assert (found.severity, found.what) == ("note", "train: all images are 10 x 8")
