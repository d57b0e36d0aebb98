import numpy as np
import pytest

from atrous.data import Sample
from atrous.data.doctor.frequencies import balanced_weights, class_shares, rare_findings


class OneSample:
    name, classes, palette = "one", ("a", "b", "c"), ((0, 0, 0),) * 3

    def __len__(self):
        return 1

    def __getitem__(self, index):
        labels = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [60, 30, 10]).reshape(10, 10)
        return Sample(np.zeros((10, 10, 3), dtype=np.uint8), labels, "one")


@pytest.mark.parametrize("kind", ["log-frequency", "median-frequency"])
def test_the_weights_are_those_of_a_training(kind):
    from atrous.train.class_weights import class_weights

    expected = class_weights(kind, OneSample())
    found = balanced_weights(kind, np.array([60, 30, 10]))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)  # of float32


def test_median_frequency_by_hand():
    # Shares 0.6, 0.3, 0.1: median 0.3, so 0.5, 1 and 3, of mean 1.5.
    found = balanced_weights("median-frequency", np.array([60, 30, 10]))
    np.testing.assert_allclose(found, [1 / 3, 2 / 3, 2], rtol=1e-12)


def test_nothing_labelled_gives_nothing():
    assert class_shares(["a", "b"], np.zeros(2, dtype=np.int64)) == []
    assert balanced_weights("median-frequency", np.zeros(2)).tolist() == [0, 0]


def test_shares_and_rare_classes():
    shares = class_shares(["a", "b", "c"], np.array([99_950, 50, 0]))
    assert [line.share for line in shares] == [0.9995, 0.0005, 0]
    (finding,) = rare_findings(shares)
    assert finding.what == "rare in the training masks: 'b' 0.050 %"
    assert rare_findings(class_shares(["a", "b"], np.array([1, 1]))) == []
