import numpy as np
import pytest
import torch

from atrous.data import ShapesDataset
from atrous.evaluate import evaluate
from atrous.export.score import labels_of, score, score_drop
from atrous.models import create_model


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
def test_an_export_is_scored_beside_its_source():
    dataset = ShapesDataset("val", length=2, size=(64, 64))
    torch.manual_seed(0)
    model = create_model("lraspp", backbone="test_resnet", classes=dataset.classes).eval()
    truth = iter([dataset[0].labels, dataset[1].labels])
    before = score(model, dataset)
    assert before == evaluate(model, dataset, device="cpu").scores.mean_iou
    drop = score_drop(before, lambda _: np.array(next(truth))[None], dataset, model=model)
    assert drop.after == 1
    assert drop.before == before
    assert drop.lost == drop.before - 1
    assert drop.to_json()["images"] == 2


def test_labels_come_from_logits_too():
    image = np.zeros((8, 4, 3), dtype=np.uint8)
    logits = np.zeros((1, 3, 4, 2), dtype=np.float32)
    logits[:, 2] = 1
    assert (labels_of(lambda _: logits, image) == 2).all()
    assert labels_of(lambda _: logits, image).shape == (8, 4)


def test_corners_are_aligned_as_the_network_does_it():
    image, logits = np.zeros((1, 4, 3), dtype=np.uint8), np.zeros((1, 2, 1, 2), dtype=np.float32)
    logits[0, 0] = 2.5, -1.0
    found = [labels_of(lambda _: logits, image, align_corners=on).tolist() for on in (False, True)]
    assert found == [[[0, 0, 1, 1]], [[0, 0, 0, 1]]]


def test_labels_of_many_classes_are_taken_though_torch_cannot_compare_them():
    labels = np.full((1, 8, 4), 299, dtype=np.uint16)
    found = labels_of(lambda _: labels, np.zeros((8, 4, 3), dtype=np.uint8))
    assert found.dtype == torch.int32
    assert (found == 299).all()
