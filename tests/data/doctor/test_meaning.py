import numpy as np
import pytest

from atrous.data.doctor.meaning import UNKNOWN, Meaning
from atrous.data.doctor.survey import MaskFacts
from atrous.data.labels import IGNORE_INDEX, LabelScheme

SCHEME = LabelScheme.from_words(["a=3#ff0000", "b=700#00ff00"], ignore=[9, 0x0000FF])


@pytest.mark.parametrize(
    ("form", "value", "label"),
    [
        ("grey", 3, 0),
        ("grey", 700, 1),
        ("grey", 9, IGNORE_INDEX),
        ("grey", 4, UNKNOWN),
        ("colour", 0xFF0000, 0),
        ("colour", 0x00FF00, 1),
        ("colour", 0x0000FF, IGNORE_INDEX),
        ("colour", 0x000000, IGNORE_INDEX),
        ("colour", 0x010000, UNKNOWN),
    ],
)
def test_values_mean_what_a_training_takes_them_for(form, value, label):
    assert Meaning(SCHEME).label(form, value) == label


def test_pixels_are_counted_by_label(tmp_path):
    mask = MaskFacts(tmp_path, values=np.array([3, 9, 5, 6]), counts=np.array([10, 20, 30, 40]))
    counts = Meaning(SCHEME).counts([mask, mask])
    assert counts.shape == (257,)
    assert (counts[0], counts[IGNORE_INDEX], counts[UNKNOWN]) == (20, 40, 140)
