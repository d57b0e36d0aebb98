import numpy as np
import pytest
from PIL import Image

from atrous.bench import pictures
from atrous.bench.pictures import open_pictures
from atrous.errors import DataError


def test_photographs_are_brought_to_the_size_and_fill_the_batches(tmp_path):
    for name, value in (("a", 10), ("b", 20), ("c", 30)):
        Image.new("RGB", (50, 30), (value, 0, 0)).save(tmp_path / f"{name}.png")
    found = open_pictures([str(tmp_path)], size=(20, 40), batch=2, noise=False)
    assert found.what == "3 photographs"
    assert [batch.shape for batch in found.batches] == [(2, 20, 40, 3)] * 2
    assert [int(one[0, 0, 0]) for batch in found.batches for one in batch] == [10, 20, 30, 10]


def test_the_examples_are_taken_where_no_photograph_is_named():
    found = open_pictures((), size=(8, 8), batch=1, noise=False)
    assert len(found.batches) == 3
    assert len({batch.tobytes() for batch in found.batches}) == 3


def test_an_installation_without_examples_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "_EXAMPLES", tmp_path / "none")
    found = open_pictures((), size=(8, 9), batch=3, noise=False)
    assert "name some with --photo" in found.what
    assert found.batches[0].shape == (3, 8, 9, 3)
    assert found.batches[0].dtype == np.uint8


def test_a_missing_photograph_is_refused():
    with pytest.raises(DataError, match="nowhere"):
        open_pictures(["nowhere.jpg"], size=(8, 8), batch=1, noise=False)
