import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from atrous.data.labels import IGNORE_INDEX, ClassEntry, LabelScheme
from atrous.data.palettes import default_palette
from atrous.errors import DataError, UsageError

SCHEME = LabelScheme(
    classes=(
        ClassEntry(name="sky", value=7, color=(0, 0, 255)),
        ClassEntry(name="road", value=300, color=(128, 64, 128)),
    ),
    ignore=(0, 11, 0xE0E0C0),
)


def test_values_become_labels_in_the_order_of_the_classes() -> None:
    raw = np.array([[7, 300, 11], [0, 7, 300]], dtype=np.uint16)
    labels = SCHEME.encode(raw, "a.png")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 1, IGNORE_INDEX], [IGNORE_INDEX, 0, 1]]


def test_colours_become_labels() -> None:
    colors = [(128, 64, 128), (0, 0, 255), (0, 0, 0), (0xE0, 0xE0, 0xC0)]
    labels = SCHEME.encode(np.array([colors], dtype=np.uint8), "a.png")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[1, 0, IGNORE_INDEX, IGNORE_INDEX]]


def test_black_needs_no_listing_to_be_ignored() -> None:
    scheme = LabelScheme.from_words(["sky=0#0000FF", "road=1#804080"])
    labels = scheme.encode(np.array([[(0, 0, 0), (0, 0, 255)]], dtype=np.uint8), "a.png")
    assert labels.tolist() == [[IGNORE_INDEX, 0]]


def test_black_is_a_class_where_one_claims_it() -> None:
    scheme = LabelScheme.from_words(["ground=0#000000", "road=1#804080"])
    assert scheme.encode(np.zeros((1, 2, 3), np.uint8), "a.png").tolist() == [[0, 0]]


def test_an_unknown_value_is_named_with_its_count_and_file() -> None:
    raw = np.array([[7, 37, 37], [7, 7, 7]], dtype=np.uint8)
    with pytest.raises(DataError) as caught:
        SCHEME.encode(raw, "masks/val/a.png")
    assert str(caught.value) == (
        "masks/val/a.png: value 37 at 2 pixels is outside the 2 classes; "
        "list it under 'ignore' or 'classes' in dataset.yaml"
    )


def test_of_many_unknown_values_the_most_frequent_are_named() -> None:
    raw = np.repeat(np.arange(20, 25, dtype=np.uint8), [1, 2, 3, 4, 5])[None]
    with pytest.raises(
        DataError, match=r"values 24 at 5 pixels, 23 at 4 .*, 22 at 3 .* and 2 more"
    ):
        SCHEME.encode(raw, "a.png")


@pytest.mark.parametrize("value", [255, 254])
def test_values_that_mean_something_inside_are_no_exception(value: int) -> None:
    with pytest.raises(DataError, match=rf"value {value} at 1 pixel is outside"):
        SCHEME.encode(np.array([[7, value]], dtype=np.uint8), "a.png")


def test_an_unknown_colour_is_named() -> None:
    with pytest.raises(DataError, match=r"a.png: value 0x0a0b0c at 4 pixels is outside"):
        SCHEME.encode(np.full((2, 2, 3), (10, 11, 12), dtype=np.uint8), "a.png")


def test_a_colour_mask_needs_a_colour_for_every_class() -> None:
    scheme = LabelScheme.from_words(["sky#0000FF", "road"])
    with pytest.raises(DataError, match=r"a.png: is a colour mask, but class 'road' has no color"):
        scheme.encode(np.zeros((2, 2, 3), np.uint8), "a.png")


def test_palette_fills_gaps_with_colours_not_in_use() -> None:
    scheme = LabelScheme.from_words(["a", "b#000000", "c"])
    assert scheme.palette == (default_palette(2)[1], (0, 0, 0), default_palette(3)[2])


def test_palette_without_colours_is_the_default_one() -> None:
    assert LabelScheme.from_words(["a", "b", "c"]).palette == default_palette(3)


def test_words_give_names_values_and_colours() -> None:
    scheme = LabelScheme.from_words(["sky", "wide road=7", "car=9#0A0B0C"], ignore=[255])
    assert scheme.names == ("sky", "wide road", "car")
    assert [entry.value for entry in scheme.classes] == [0, 7, 9]
    assert [entry.color for entry in scheme.classes] == [None, None, (10, 11, 12)]
    assert scheme.ignore == (255,)


@pytest.mark.parametrize("word", ["", "=1", "road=x", "road=1#12345", "road=-1", "road=1=2"])
def test_malformed_words_are_named(word: str) -> None:
    with pytest.raises(UsageError, match=f"class '{word}'"):
        LabelScheme.from_words(["sky", word])


def test_a_word_with_an_impossible_value_is_named() -> None:
    with pytest.raises(UsageError, match=r"class 'road=70000': value: .*65535"):
        LabelScheme.from_words(["sky", "road=70000"])


@pytest.mark.parametrize(
    ("words", "ignore", "message"),
    [
        (["a=0", "a=1"], [], "class name a is used twice"),
        (["a=1", "b=1"], [], "mask value 1 is used twice"),
        (["a#101010", "b#101010"], [], r"color \(16, 16, 16\) is used twice"),
        (["a", "b"], [1], "value 1 is both class 'b' and ignored"),
        (["a"], [], "at least 2 items"),
        ([f"c{i}" for i in range(255)], [], "at most 254 items"),
        (["a", "b"], [-1], "ignore.0: .*greater than or equal to 0"),
    ],
)
def test_contradictions_are_refused(words: list[str], ignore: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LabelScheme.from_words(words, ignore)


def test_254_classes_are_told_apart() -> None:
    scheme = LabelScheme.from_words([f"c{i}" for i in range(254)], ignore=[254, 255])
    raw = np.arange(256, dtype=np.uint8)[None]
    assert scheme.encode(raw, "a.png")[0].tolist() == [*range(254), 255, 255]
    assert len(set(scheme.palette)) == 254


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"clases": []}, "unknown key 'clases'; did you mean 'classes'"),
        (
            {"classes": [{"name": "a", "value": 0}, {"name": "b", "value": 1, "colour": []}]},
            "unknown key 'colour' in classes; did you mean 'color'",
        ),
        ({"classes": [{"name": "a", "value": True}, {"name": "b"}]}, "classes.0.value: .*'True'"),
        ({"classes": [{"name": "", "value": 0}, {"name": "b", "value": 1}]}, "classes.0.name"),
        ({"classes": [{"name": "a", "value": 0, "color": [0, 0, 256]}]}, "classes.0.color.2"),
        (None, "valid dictionary"),
        (["road"], "valid dictionary"),
    ],
)
def test_a_wrong_document_is_explained_in_one_line(document: object, message: str) -> None:
    with pytest.raises(DataError, match=f"^set/dataset.yaml: .*{message}") as caught:
        LabelScheme.parse(document, "set/dataset.yaml")
    assert "\n" not in str(caught.value)


def test_scheme_cannot_be_changed_and_survives_pickling() -> None:
    raw = np.array([[7]], dtype=np.uint8)
    SCHEME.encode(raw, "a.png")
    with pytest.raises(ValidationError, match="frozen"):
        SCHEME.name = "other"
    again = pickle.loads(pickle.dumps(SCHEME))  # noqa: S301 - our own bytes
    assert again == SCHEME  # although both remember tables by now
    assert again.encode(raw, "a.png").tolist() == [[0]]
