import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from atrous.errors import DataError
from atrous.weights.agreement import TOLERANCE, Agreement, compare


class Other(nn.Module):
    """The same network, with its own way to answer."""

    def __init__(self, model, answer=lambda logits: logits, *, multiple=1, coarse=False):
        super().__init__()
        self.model, self.answer, self.multiple, self.coarse = model, answer, multiple, coarse

    def forward(self, images):
        if any(side % self.multiple for side in images.shape[-2:]):
            raise RuntimeError("wrong size")
        return self.answer(self.model.coarse_logits(images) if self.coarse else self.model(images))


@pytest.mark.parametrize(
    "answer",
    [
        lambda logits: logits,
        lambda logits: {"out": logits, "aux": None},
        lambda logits: (logits, None),
        lambda logits: SimpleNamespace(logits=logits),
    ],
)
@pytest.mark.parametrize("coarse", [False, True])
def test_a_network_agrees_with_itself(model, answer, coarse):
    agreement = compare(model, Other(model, answer, coarse=coarse), against="it", source="x")
    assert agreement.holds
    assert (agreement.difference, agreement.same_class) == (0, 1)
    assert agreement.largest > 0
    assert agreement.sizes == ((129, 97), (64, 640))
    assert str(agreement).startswith("checked against it on images of 129 x 97 and 64 x 640: ")


def test_a_library_that_takes_only_multiples_is_given_them(model):
    agreement = compare(model, Other(model, multiple=32), against="it", source="x")
    assert agreement.sizes == ((160, 128), (64, 640))


def test_the_limit_is_relative_to_the_largest_logit(model):
    near = Other(model, lambda logits: logits * (1 + TOLERANCE / 2))
    assert compare(model, near, against="it", source="x").difference > 0
    far = Other(model, lambda logits: logits * (1 + TOLERANCE * 2))
    with pytest.raises(DataError, match=r"^x: the converted model computes"):
        compare(model, far, against="it", source="x")


def test_another_shape_is_told(model):
    other = Other(model, lambda logits: logits[:, :2])
    with pytest.raises(DataError, match=r"^x: it gives \(1, 2, 129, 97\) for an image of"):
        compare(model, other, against="it", source="x")


def test_one_pixel_in_the_wrong_class_is_counted(model):
    def answer(logits):
        logits = logits.clone()
        logits[0, :, 0, 0] = logits[0, :, 0, 0].flip(0) * (1 + 1e-7)
        return logits

    flipped = Other(model, answer)
    with pytest.raises(DataError, match=r" 99\.99\d+ % of the pixels have the same class"):
        compare(model, flipped, against="it", source="x")


def test_all_zero_agrees_with_all_zero_alone():
    sizes = ((1, 1),)
    assert Agreement("it", sizes, difference=0, largest=0, same_class=1).holds
    assert not Agreement("it", sizes, difference=1e-9, largest=0, same_class=1).holds


def test_rates_that_differ_are_noticed(model):
    # Though the other image is too small for them to matter.
    changed = copy.deepcopy(model)
    changed.pyramid.rates = (1, 62)  # of 1 and 2, on a map of 8 x 80 cells
    with pytest.raises(DataError, match="computes something else"):
        compare(changed, Other(model), against="it", source="x")


def test_the_figures_fit_into_json(model):
    agreement = compare(model, Other(model), against="it", source="x")
    assert Agreement(**agreement.to_json()) == agreement
    assert torch.is_grad_enabled()
