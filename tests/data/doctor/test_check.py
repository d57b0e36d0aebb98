"""The doctor as a whole: planted faults, and what it leaves untouched."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from atrous.data import LabelScheme, open_dataset
from atrous.data.doctor import Plan, check_before_training, check_folder
from atrous.data.doctor import check as doctor
from atrous.data.doctor.proposal import scheme_yaml
from atrous.errors import DataError

YAML = "classes: [{name: a, value: 0}, {name: b, value: 1}, {name: c, value: 2}]\n"
SIZE = (8, 10)


def fingerprint(root):
    """Return names, content and times of everything below a folder."""
    return {
        path.relative_to(root): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(root.rglob("*"))
    }


def _truncate(root, name):
    path = root / f"images/{name}.png"
    path.write_bytes(path.read_bytes()[:-30])
    return f"images/{name}.png"


def _empty_mask(root, name):
    (root / f"masks/{name}.png").write_bytes(b"")
    return f"masks/{name}.png"


def _without_mask(root, name):
    (root / f"masks/{name}.png").unlink()
    return f"images/{name}.png"


def _without_image(root, name):
    (root / f"images/{name}.png").unlink()
    return f"masks/{name}.png"


def _twice(root, name):
    Image.new("RGB", SIZE[::-1]).save(root / f"images/{name}.bmp")
    return f"images/{name}.bmp"


def _other_size(root, name):
    Image.new("L", (5, 5)).save(root / f"masks/{name}.png")
    return f"masks/{name}.png"


def _jpeg(root, name):
    Image.new("L", SIZE[::-1], 1).save(root / f"masks/{name}.jpg")
    (root / f"masks/{name}.png").unlink()
    return f"masks/{name}.jpg"


def _colored(root, name):
    Image.new("RGB", SIZE[::-1], (9, 8, 7)).save(root / f"masks/{name}.png")
    return f"masks/{name}.png"


def _outside(root, name):
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[3, 4] = 77
    Image.fromarray(mask).save(root / f"masks/{name}.png")
    return f"masks/{name}.png"


def _leak(root, name):
    copy = f"images/val/{name.rpartition('/')[2]}.png"
    shutil.copy(root / f"images/{name}.png", root / copy)
    return copy


FAULTS = {
    "image-unreadable": _truncate,
    "mask-unreadable": _empty_mask,
    "image-without-mask": _without_mask,
    "mask-without-image": _without_image,
    "duplicate-name": _twice,
    "size-mismatch": _other_size,
    "mask-lossy": _jpeg,
    "mask-colours": _colored,
    "values-outside": _outside,
    "split-overlap": _leak,
}


def test_thirty_of_thirty_faults_in_a_set_of_300_and_no_file_touched(make_set):
    root = make_set(pairs=150)
    (root / "dataset.yaml").write_text(YAML)
    planted = {kind: set() for kind in FAULTS}
    for number, (kind, spoil) in enumerate(FAULTS.items()):
        for k in range(3):
            planted[kind].add(spoil(root, f"train/{10 * number + 3 * k:03d}"))
    before = fingerprint(root)
    report = check_folder(root)
    assert fingerprint(root) == before
    errors = [finding for finding in report.findings if finding.severity == "error"]
    found = {finding.kind: {place.file for place in finding.places} for finding in errors}
    assert found == planted
    assert sum(map(len, found.values())) == 30
    assert all(finding.cure for finding in errors)


def test_a_good_set_has_notes_only(make_set):
    root = make_set()
    (root / "dataset.yaml").write_text(YAML)
    report = check_folder(root)
    assert [finding.kind for finding in report.findings] == ["sizes"]
    assert report.count("error") == report.count("warning") == 0
    assert report.pairs == {"train": 3, "val": 3}
    assert [line.name for line in report.classes] == ["a", "b", "c"]
    assert report.proposal is None


def test_two_classes_of_0_and_255_are_one_accepted_suggestion_away(make_set):
    root = make_set(values=(0, 255))
    with pytest.raises(DataError, match=r"dataset\.yaml"):
        open_dataset(root, "train")
    report = check_folder(root)
    assert [f.kind for f in report.findings if f.severity == "error"] == ["no-dataset-yaml"]
    (root / "dataset.yaml").write_text(scheme_yaml(report.proposal))
    dataset = open_dataset(root, "train")
    assert dataset.classes == ("background", "foreground")
    assert np.unique(dataset[0].labels).tolist() == [0, 1]
    assert check_folder(root).count("error") == 0


def test_a_bad_yaml_is_a_finding_and_the_files_are_judged_all_the_same(make_set):
    root = make_set()
    (root / "dataset.yaml").write_text("clases: []\n")
    (root / "masks/val/000.png").write_bytes(b"")
    report = check_folder(root)
    errors = {f.kind: f for f in report.findings if f.severity == "error"}
    assert set(errors) == {"bad-dataset-yaml", "mask-unreadable"}
    assert "did you mean 'classes'" in errors["bad-dataset-yaml"].what
    assert report.proposal is not None


def test_a_scheme_that_is_given_needs_no_yaml(make_set, scheme):
    report = check_folder(make_set(), scheme=scheme)
    assert report.count("error") == 0
    assert report.scheme == scheme


def test_masks_that_tell_nothing_leave_no_proposal(make_set):
    report = check_folder(make_set(values=(5,)))
    assert report.proposal is report.scheme is None
    assert "classes: [{name: road, value: 0}" in report.findings[0].cure


def test_errors_come_first_and_all_is_json(make_set):
    root = make_set()
    Image.new("L", SIZE[::-1], 8).save(root / "masks/val/000.png")
    plan = Plan(rates=(6, 12, 18), crop_size=(65, 65))
    report = check_folder(root, scheme=LabelScheme.from_words(["a", "b", "c"]), plan=plan)
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert {"dead-taps", "smaller-than-crop"} <= {finding.kind for finding in report.findings}
    document = json.loads(json.dumps(report.to_json()))
    assert document["findings"][0]["kind"] == "values-outside"


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_no_folder_is_an_error_of_its_own(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{name}: .*; give a data set folder"):
        check_folder(tmp_path / name)


def test_before_a_training_only_its_splits_are_judged(make_set, scheme):
    root = make_set()
    (root / "images/test").mkdir()
    assert check_folder(root, scheme=scheme).count("error") == 2
    assert check_before_training(root, scheme=scheme).count("error") == 0
    report = check_before_training(root, scheme=scheme, plan=Plan(val_split="dev"))
    assert [f.what for f in report.findings if f.severity == "error"] == [
        "no split 'dev'; there is test, train, val"
    ]


def test_joined_splits_are_judged_together(make_set, scheme):
    root = make_set(values=(0, 0))
    for mask in (root / "masks/val").iterdir():
        Image.new("L", (10, 8), 1).save(mask)
    shares = {}
    for split in ("train", "val", "train+val"):
        report = check_before_training(root, scheme=scheme, plan=Plan(train_split=split))
        shares[split] = [line.share for line in report.classes]
    assert shares == {"train": [1, 0, 0], "val": [0, 1, 0], "train+val": [0.5, 0.5, 0]}


def test_before_a_training_a_large_split_is_sampled_and_says_so(make_set, scheme, monkeypatch):
    monkeypatch.setattr(doctor, "_MOST_PAIRS", 4)
    root = make_set(pairs=9)
    (root / "masks/val/007.png").unlink()
    report = check_before_training(root, scheme=scheme)
    found = {finding.kind: finding for finding in report.findings}
    assert found["sampled"].what == "read 16 of 35 files, spread evenly"
    assert found["image-without-mask"].count == 1  # names are compared in full


def test_weird_names_are_no_trouble(make_set, scheme):
    root = make_set()
    for name in ["a\nb", "-x", "ü 🌳", "  "]:
        for kind in ("images", "masks"):
            source = root / kind / "train" / "000.png"
            (root / kind / "train" / f"{name}.png").write_bytes(source.read_bytes())
    report = check_folder(root, scheme=scheme)
    assert report.count("error") == 0
    assert {f.kind for f in report.findings} == {"copies", "sizes"}


def test_masks_in_jpeg_are_found_without_a_dataset_yaml_too(make_set):
    root = make_set()
    for mask in (root / "masks").rglob("*.png"):
        with Image.open(mask) as picture:
            picture.save(mask.with_suffix(".jpg"))
        mask.unlink()
    errors = {f.kind: f for f in check_folder(root).findings if f.severity == "error"}
    assert errors.keys() == {"mask-lossy", "no-dataset-yaml"}
    assert errors["mask-lossy"].count == 6
