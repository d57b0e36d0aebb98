from pathlib import Path

import pytest

from atrous.data.doctor.findings import MOST_FILES, Finding, Place, below, number_of, set_aside


def test_ten_files_are_named_and_all_are_counted():
    places = [Place(f"images/train/{i}.png") for i in range(37)]
    finding = Finding.at("kind", "error", places, what="w", cure="c")
    assert finding.places == tuple(places[:MOST_FILES])
    assert (finding.count, len(finding.places)) == (37, 10)


def test_json_holds_all_of_it():
    finding = Finding.at("kind", "note", [Place("a.png", "is odd")], what="w", cure="c")
    assert finding.to_json() == {
        "kind": "kind",
        "severity": "note",
        "what": "w",
        "cure": "c",
        "places": [{"file": "a.png", "detail": "is odd"}],
        "count": 1,
    }


def test_paths_are_below_the_folder():
    assert below(Path("a/b"), Path("a/b/images/train/x.png")) == "images/train/x.png"


def test_files_are_set_aside_by_kind():
    places = [Place("masks/val/a.png"), Place("images/val/a.png"), Place("images/val/a.png")]
    assert set_aside(Path("s"), places) == (
        "mkdir -p s/aside/images && mv -n s/images/val/a.png s/aside/images/ && "
        "mkdir -p s/aside/masks && mv -n s/masks/val/a.png s/aside/masks/"
    )


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 images"), (1, "1 image"), (1204, "1,204 images")]
)
def test_numbers_have_their_nouns(count, words):
    assert number_of(count, "image") == words
