"""The embedded model on the data it was made for; only where that data lies beside the checkout."""

import pytest

from atrous.data import open_dataset
from atrous.evaluate import evaluate
from atrous.weights import load_model, zoo


@pytest.mark.slow
def test_the_embedded_model_scores_what_its_card_states(camvid):
    stated = zoo.find("camvid-lite0").facts.training["mean_iou"]
    measured = evaluate(load_model("camvid-lite0"), open_dataset(camvid, "val"), device="cpu")
    assert measured.scores.mean_iou == pytest.approx(stated, abs=1e-4)
