"""The embedded model on the data it was made for; only where that data lies beside the checkout."""

import pytest

from atrous.data import open_dataset
from atrous.evaluate import evaluate
from atrous.weights import load_model, zoo


def test_the_data_set_is_read_as_its_readme_says(camvid):
    for split, images in (("train", 367), ("val", 101)):
        dataset = open_dataset(camvid, split)
        assert len(dataset) == images
        sample = dataset[0]
        assert sample.image.shape == (360, 480, 3)
        assert set(sample.labels.reshape(-1).tolist()) <= {*range(11), 255}


@pytest.mark.slow
def test_the_embedded_model_scores_what_its_card_states(camvid):
    stated = zoo.find("camvid-lite0").facts.training["mean_iou"]
    measured = evaluate(load_model("camvid-lite0"), open_dataset(camvid, "val"), device="cpu")
    assert measured.scores.mean_iou == pytest.approx(stated, abs=1e-4)
