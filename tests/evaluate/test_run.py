import math
from dataclasses import replace

import pytest
import torch

from atrous.errors import DataError, UsageError
from atrous.evaluate import evaluate
from atrous.models import SegmentationModel, create_model


def test_one_confusion_matrix_over_all_images(model, dataset):
    found = evaluate(model, dataset, device="cpu")
    assert found.matrix.tolist() == [[1, 1, 0], [1, 3, 0], [0, 0, 0]]
    assert found.scores.pixel_accuracy == pytest.approx(4 / 6)
    assert found.scores.class_iou[:2] == pytest.approx((1 / 3, 3 / 5))
    assert math.isnan(found.scores.class_iou[2])
    assert found.scores.mean_iou == pytest.approx((1 / 3 + 3 / 5) / 2)
    assert (found.images, found.dataset, found.classes) == (2, "memory", dataset.classes)
    assert found.palette == model.palette


def test_the_model_keeps_its_mode(model, dataset):
    evaluate(model.train(), dataset, device="cpu")
    assert model.training
    evaluate(model.eval(), dataset, device="cpu")
    assert not model.training


def test_each_image_is_told_with_its_prediction(model, dataset):
    told = []
    evaluate(model, dataset, device="cpu", on_image=lambda *facts: told.append(facts))
    assert [sample.name for sample, _ in told] == ["row-0", "row-1"]
    assert [labels.tolist() for _, labels in told] == [[[0, 0, 1]], [[1, 1, 1, 0]]]


@pytest.mark.parametrize(
    ("classes", "difference"),
    [
        (("red", "teal", "blue"), "the model lacks teal; the data set lacks green; give"),
        (("red", "green"), "memory: .*: the data set lacks blue; give .* red green blue"),
        (("green", "red", "blue"), "they are in another order"),
        (("red", "green", "blue", "void"), ": the model lacks void; give"),
    ],
)
def test_other_classes_than_the_model_s_are_listed(model, dataset, classes, difference):
    with pytest.raises(DataError, match=difference):
        evaluate(model, replace(dataset, classes=classes))


def test_an_unknown_device_is_refused(model, dataset):
    with pytest.raises(UsageError, match="'abacus'"):
        evaluate(model, dataset, device="abacus")


def test_an_engine_gives_the_same_scores(dataset):
    network = create_model("deeplabv3", backbone="test_efficientnet", classes=dataset.classes)
    plain = evaluate(network, dataset, device="cpu")
    for engine in ("optimized", "auto"):
        found = evaluate(network, dataset, device="cpu", engine=engine)
        assert found.matrix.tolist() == plain.matrix.tolist()
    with pytest.raises(UsageError, match="engine 'abacus' is unknown"):
        evaluate(network, dataset, engine="abacus")


def test_autocast_around_it_changes_nothing(model, dataset):
    kept: list[torch.dtype] = []

    class Watch(type(model)):
        def coarse_logits(self, images):
            logits = super().coarse_logits(images)
            kept.append(logits.dtype)
            return logits

    watch: SegmentationModel = Watch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        evaluate(watch, dataset, device="cpu")
    assert set(kept) == {torch.float32}
