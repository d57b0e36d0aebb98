import math

import numpy as np
import pytest
import torch

from atrous.inspect.photograph import certainty, class_activation, fit_photo, view_photo
from atrous.models import Conventions, create_model
from atrous.predict import Segmenter


@pytest.fixture(scope="module")
def view(model, photo):
    return view_photo(model, photo)


def test_a_photograph_is_brought_to_a_size_and_never_enlarged_by_itself(photo):
    assert fit_photo(photo) is photo
    assert fit_photo(photo, (48, 80)) is photo
    assert fit_photo(photo, (100, 60)).shape == (100, 60, 3)
    assert fit_photo(np.zeros((9, 3000, 3), np.uint8)).shape == (3, 1024, 3)


def test_the_labels_are_those_of_a_prediction(model, photo, view):
    assert (view.result.labels == Segmenter(model, device="cpu")(photo).labels).mean() > 0.999


def test_the_labels_are_brought_to_size_as_the_model_does_it(shake, photo):
    words = {"backbone": "test_resnet", "num_classes": 3, "channels": 8, "rates": (1, 2)}
    model = shake(create_model("deeplabv3", **words, conventions=Conventions(align_corners=True)))
    labels = Segmenter(model.eval(), device="cpu")(photo).labels
    assert (view_photo(model, photo).result.labels == labels).mean() > 0.999


def test_certainty_is_that_of_the_probabilities():
    logits = torch.tensor([[2.0, 0.5, -1.0]]).T[None, :, :, None]
    probabilities = logits.softmax(dim=1)[0, :, 0, 0].tolist()
    confidence, entropy = certainty(logits)
    assert confidence.item() == pytest.approx(max(probabilities))
    expected = -sum(p * math.log(p) for p in probabilities) / math.log(3)
    assert entropy.item() == pytest.approx(expected)
    _, even = certainty(torch.zeros(1, 7, 1, 1))
    assert even.item() == pytest.approx(1)


def test_maps_are_on_the_grid_that_is_classified(model, photo, view):
    assert view.confidence.shape == view.entropy.shape == (12, 20)
    assert all(one.logits.shape == (3, 12, 20) for one in view.contributions)
    assert list(view.fields) == [one.name for one in view.contributions]
    assert view.fields["1x1"].shape == photo.shape[:2]


def test_the_largest_classes_have_activations(view):
    present = {name for name, share in view.result.shares().items() if share > 0}
    assert set(view.activations) == present
    for heat in view.activations.values():
        assert heat.shape == (3, 5)
        assert heat.min() >= 0
        assert heat.max() <= 1


def test_an_activation_is_weighted_by_mean_gradients(model, photo, view):
    label = max(range(3), key=lambda k: (view.result.labels == k).mean())
    images = model.preprocessing(torch.tensor(photo).permute(2, 0, 1)[None])
    features = model.backbone(images)
    deep = features.deep.detach().requires_grad_()
    logits = model.classify(features._replace(deep=deep))
    mine = logits[:, label][logits.argmax(dim=1) == label]
    (gradient,) = torch.autograd.grad(mine.sum(), deep)
    weights = gradient[0].mean(dim=(1, 2))
    heat = torch.einsum("c,chw->hw", weights, deep.detach()[0]).clamp_min(0)
    found = class_activation(model, images, label)
    torch.testing.assert_close(found, heat / heat.max().clamp_min(1e-30), atol=1e-5, rtol=1e-4)


def test_the_model_stays_as_it_is(model, photo):
    model.train()
    view_photo(model, photo)
    assert model.training
    model.eval()
    assert all(weight.grad is None for weight in model.parameters())
