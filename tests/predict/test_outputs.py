from pathlib import Path

import pytest

from atrous.data.images import FoundImage
from atrous.errors import DataError, UsageError
from atrous.predict.outputs import parse_formats, plan_jobs


def plan(*photos, out="out", formats=("mask", "overlay")):
    """Plan for photos given as (path, name) or as bare file names."""
    pairs = [photo if isinstance(photo, tuple) else (photo, Path(photo).name) for photo in photos]
    found = [FoundImage(Path(path), Path(name)) for path, name in pairs]
    return plan_jobs(found, Path(out), formats)


def test_formats_are_a_list_of_words():
    assert parse_formats("mask,overlay") == ("mask", "overlay")
    assert parse_formats(" overlay , overlay") == ("overlay",)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("mask,overlai", "format 'overlai' is unknown; use overlay"),
        ("geojson", "format 'geojson' is unknown; use mask or overlay"),
        ("", "format '' is unknown"),
    ],
)
def test_unknown_formats_are_named(words, complaint):
    with pytest.raises(UsageError, match=complaint):
        parse_formats(words)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.jpg", "out/a/b.mask.png"),
        ("b.c.jpeg", "out/b.c.mask.png"),
        ("b", "out/b.mask.png"),
    ],
)
def test_outputs_keep_the_path_below_the_given_folder(name, expected):
    (job,) = plan(("photos/x.jpg", name), formats=["mask"])
    assert job.outputs == {"mask": Path(expected)}


def test_two_photographs_with_one_output_are_refused_and_both_named():
    with pytest.raises(DataError, match=r"p/a\.jpg and p/a\.png: both .* out/a\.mask\.png"):
        plan("p/a.jpg", "p/a.png")


def test_names_that_differ_in_case_only_are_refused():
    with pytest.raises(DataError, match=r"p/a\.jpg and p/A\.jpg: both"):
        plan("p/a.jpg", "p/A.jpg")


def test_files_of_the_same_name_in_two_folders_are_fine_below_one_given_folder():
    jobs = plan(("p/a/x.jpg", "a/x.jpg"), ("p/b/x.jpg", "b/x.jpg"))
    assert len({path for job in jobs for path in job.outputs.values()}) == 4


def test_an_output_never_replaces_a_photograph(tmp_path):
    photos = [str(tmp_path / "a.jpg"), str(tmp_path / "elsewhere" / ".." / "a.mask.png")]
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match=r"a\.mask\.png"):
        plan(*photos, out=tmp_path, formats=["mask"])


def test_results_of_an_earlier_run_are_not_taken_for_photographs(tmp_path):
    leftover = tmp_path / "predictions" / "a.overlay.png"
    with pytest.raises(DataError, match=r"a\.overlay\.png: is a result of an earlier run"):
        plan(str(tmp_path / "a.jpg"), str(leftover), out=tmp_path / "predictions")


def test_results_may_lie_beside_their_photograph(tmp_path):
    (job,) = plan(str(tmp_path / "a.jpg"), out=tmp_path)
    assert job.outputs["overlay"] == tmp_path / "a.overlay.png"
