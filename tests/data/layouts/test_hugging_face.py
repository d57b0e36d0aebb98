import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from atrous.data.labels import LabelScheme
from atrous.data.layouts import hugging_face
from atrous.errors import DataError, MissingExtraError

SCHEME = LabelScheme.from_words(["road=3", "sky=5"], ignore=[9])


def png(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values, **options).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def rows(drawn):
    masks = [drawn([3, 5, 9], seed) for seed in (0, 1)]
    picture = png(np.full((8, 10, 3), 77, np.uint8))
    return [
        {"image": {"bytes": picture, "path": None}, "label": {"bytes": png(mask), "path": None}}
        for mask in masks
    ]


class Table:
    """As much of a table of `datasets` as is used."""

    def __init__(self, rows: list[dict], *, decoded: tuple[str, ...] = ("image", "label")) -> None:
        self.rows, self.decoded = rows, decoded
        self.column_names = list(rows[0])

    def cast_column(self, column: str, feature: SimpleNamespace) -> "Table":
        assert not feature.decode
        return Table(self.rows, decoded=tuple(name for name in self.decoded if name != column))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        assert not self.decoded  # or else the library would open files that nobody has judged
        return self.rows[index]


@pytest.fixture
def library(monkeypatch, rows):
    def load_dataset(name: str, *, split: str) -> Table:
        if name != "someone/roads":
            raise FileNotFoundError(f"Dataset '{name}' is not on the Hub.\nMore about it")
        return Table(rows[:1] if split == "val" else rows)

    module = SimpleNamespace(
        load_dataset=load_dataset,
        load_from_disk=lambda path: {"train": Table(rows), "val": Table(rows[:1])},
        Image=SimpleNamespace,
    )
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


@pytest.fixture
def saved(tmp_path):
    (tmp_path / "dataset_dict.json").write_text("{}")
    return tmp_path


def expected(drawn, seed: int) -> np.ndarray:
    values = drawn([3, 5, 9], seed)
    return np.select([values == 3, values == 5], [0, 1], 255)


def test_a_saved_data_set_is_read(library, saved, drawn) -> None:
    assert hugging_face.recognize(saved)
    dataset = hugging_face.open_split(saved, "train", SCHEME)
    assert (len(dataset), dataset.classes, dataset.name) == (2, ("road", "sky"), saved.name)
    assert dataset.palette == SCHEME.palette
    sample = dataset[1]
    np.testing.assert_array_equal(sample.labels, expected(drawn, 1))
    assert (sample.image == 77).all()
    assert sample.name == "train-000001"


def test_a_name_is_left_to_the_library(library, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = type(tmp_path)("someone/roads")
    assert len(hugging_face.open_split(place, "val", SCHEME)) == 1
    with pytest.raises(DataError, match=r"cannot be loaded by datasets: Dataset 'no' is not on th"):
        hugging_face.open_split(type(tmp_path)("no"), "val", SCHEME)


def test_palettes_keep_their_indices_and_files_their_paths(library, saved, rows, tmp_path) -> None:
    palette = Image.fromarray(np.full((8, 10), 5, np.uint8), mode="P")
    palette.putpalette([200] * 768)
    palette.save(tmp_path / "mask.png")
    Image.new("RGB", (10, 8)).save(tmp_path / "image.png")
    rows[0]["label"] = {"bytes": (tmp_path / "mask.png").read_bytes(), "path": None}
    rows[1] = {
        "image": {"bytes": None, "path": str(tmp_path / "image.png")},
        "label": {"bytes": None, "path": str(tmp_path / "mask.png")},
    }
    dataset = hugging_face.open_split(saved, "train", SCHEME)
    for index in (0, 1):
        assert (dataset[index].labels == 1).all()


def test_a_yaml_in_the_folder_names_the_classes(library, saved) -> None:
    with pytest.raises(DataError, match=r"dataset.yaml: no such file.*--classes"):
        hugging_face.open_split(saved, "train")
    text = "classes: [{name: a, value: 3}, {name: b, value: 5}]\nignore: [9]\n"
    (saved / "dataset.yaml").write_text(text)
    assert hugging_face.open_split(saved, "train").classes == ("a", "b")


def test_what_is_wrong_is_told(library, saved, rows) -> None:
    with pytest.raises(DataError, match=r"no such split as 'test'; there is train, val"):
        hugging_face.open_split(saved, "test", SCHEME)
    rows[0]["label"]["bytes"] = png(np.zeros((8, 9), np.uint8))
    with pytest.raises(DataError, match=r", train-000000, label: is 9 x 8, but its picture is 10"):
        hugging_face.open_split(saved, "train", SCHEME)[0]
    rows[0]["label"]["bytes"] = b"%!PS-Adobe"
    with pytest.raises(DataError, match=r"label: is an EPS or PostScript file, expected a JPEG"):
        hugging_face.open_split(saved, "train", SCHEME)[0]
    rows[0] = {"pixels": 1, "label": 2}
    with pytest.raises(DataError, match=r"has the columns pixels, label; rename them to 'image'"):
        hugging_face.open_split(saved, "train", SCHEME)


def test_without_the_library_the_extra_is_named(saved, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"datasets is not installed: .*atrous\[datasets\]"):
        hugging_face.open_split(saved, "train", SCHEME)


def test_the_library_itself_is_read(tmp_path, rows, drawn) -> None:
    datasets = pytest.importorskip("datasets", reason="the library of Hugging Face; not installed")
    features = datasets.Features(image=datasets.Image(), label=datasets.Image())
    table = datasets.Dataset.from_list(rows, features=features)
    datasets.DatasetDict(train=table).save_to_disk(tmp_path / "saved")
    dataset = hugging_face.open_split(tmp_path / "saved", "train", SCHEME)
    for index in (0, 1):
        np.testing.assert_array_equal(dataset[index].labels, expected(drawn, index))
    with pytest.raises(DataError, match=r"no such split as 'val'; there is train"):
        hugging_face.open_split(tmp_path / "saved", "val", SCHEME)
