import os
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from atrous.data.doctor.survey import (
    image_facts,
    list_files,
    mask_facts,
    num_files,
    read_files,
    spread,
)


def test_files_are_grouped_by_split_and_name(make_set):
    root = make_set(pairs=2)
    Image.new("L", (4, 4)).save(root / "images/val/000.jpg")
    (root / "masks/train/notes.txt").write_text("x")
    (root / "masks/val/.hidden.png").write_text("x")
    files = list_files(root)
    assert list(files) == ["train", "val"]
    assert files["train"].paired == ["000", "001"]
    assert files["train"].passed_over == [root / "masks/train/notes.txt"]
    assert [path.name for path in files["val"].images["000"]] == ["000.jpg", "000.png"]
    assert num_files(files) == 9


def test_a_folder_without_anything_has_no_split(tmp_path):
    assert list_files(tmp_path) == {}


def test_every_file_is_read_once(make_set):
    root, calls = make_set(pairs=3), []
    survey = read_files(root, list_files(root), on_file=lambda: calls.append(1))
    assert (len(survey.images), len(survey.masks), len(calls)) == (6, 6, 12)
    image, mask = survey.pairs("val")[1]
    assert (image.size, mask.size, mask.form) == ((8, 10), (8, 10), "grey")
    assert (mask.values.tolist(), mask.counts.sum()) == ([0, 1, 2], 80)


def test_pixels_and_shape_make_the_digest(tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(2, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    Image.fromarray(pixels.reshape(3, 4, 3)).save(tmp_path / "c.png")
    a, b, c = (image_facts(tmp_path / name).digest for name in ("a.png", "b.bmp", "c.png"))
    assert a == b != c


@pytest.mark.parametrize("facts_of", [image_facts, mask_facts])
def test_what_cannot_be_read_is_a_fact(facts_of, tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("<html>")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    for path in tmp_path.iterdir():
        fault = facts_of(path).fault
        assert fault
        assert str(path) not in fault


def test_the_values_of_a_jpeg_mask_are_told_as_altered(tmp_path):
    grey = np.zeros((16, 16), dtype=np.uint8)
    grey[:, 5:] = 255
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=50)
    facts = mask_facts(tmp_path / "a.jpg")
    assert facts.lossy
    assert not facts.fault
    assert facts.form == "grey"
    assert facts.distinct > 2


@given(arrays.arrays(np.uint8, (3, 5), elements=st.integers(0, 255)))
def test_grey_values_are_all_counted(mask):
    with mock.patch("atrous.data.doctor.survey.read_mask", return_value=mask):
        facts = mask_facts(Path("a.png"))
    expected = {int(value): int((mask == value).sum()) for value in set(mask.reshape(-1).tolist())}
    assert dict(zip(facts.values.tolist(), facts.counts.tolist(), strict=True)) == expected
    assert facts.distinct == len(expected)


def test_of_many_colours_the_most_frequent_are_kept(tmp_path):
    random = np.random.default_rng(0)
    mask = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    mask[:20] = (1, 2, 3)
    Image.fromarray(mask).save(tmp_path / "a.png")
    facts = mask_facts(tmp_path / "a.png")
    assert facts.form == "colour"
    assert (facts.values[0], facts.counts[0], len(facts.values)) == (0x010203, 800, 256)
    assert facts.distinct == 1 + 800


def test_a_sample_is_spread_evenly_and_holds_pairs(make_set):
    files = list_files(make_set(pairs=10))["train"]
    names = [(path.parts[-3], path.stem) for path in spread(files, 2)]
    assert names == [("images", "000"), ("masks", "000"), ("images", "005"), ("masks", "005")]
    assert len(spread(files, 100)) == 20


def test_warnings_are_as_before_when_threads_have_read(make_set):
    root, before = make_set(pairs=8), warnings.filters[:]
    read_files(root, list_files(root))
    assert warnings.filters[:] == before
