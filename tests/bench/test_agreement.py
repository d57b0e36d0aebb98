import numpy as np
import pytest
import torch

from atrous.bench.agreement import Reference
from atrous.bench.ways import Opened, own_ways


@pytest.fixture
def reference(small):
    batches = np.random.default_rng(0).integers(0, 256, (2, 1, 64, 96, 3), dtype=np.uint8)
    return Reference(small, list(batches))


def test_the_network_agrees_with_itself(small, reference):
    (way,) = own_ways(["torch"], ["fp32"])
    agreement = reference.compare(way.open(small, reference.batches[0]))
    assert agreement.equal_labels > 0.999
    assert agreement.logit_difference <= 1e-5 * max(1, reference.largest_logit)


def test_what_differs_is_counted(small, reference):
    first, second = reference.labels
    wrong = iter([first.clone(), (second + 1) % 3])
    wrong_half = Opened(lambda _: next(wrong), None)
    assert reference.compare(wrong_half).equal_labels == 0.5

    coarse, full = reference.logits
    for logits in (coarse, full):
        labels = iter(reference.labels)
        shifted = Opened(lambda _, labels=labels: next(labels), lambda _, x=logits: x + 0.25)
        agreement = reference.compare(shifted)
        assert agreement.equal_labels == 1
        assert agreement.logit_difference == pytest.approx(0.25, abs=1e-5)


def test_labels_are_of_the_logits_at_full_size(small, reference):
    images = small.preprocessing(torch.from_numpy(reference.batches[1]).permute(0, 3, 1, 2))
    with torch.no_grad():
        assert torch.equal(reference.labels[1], small(images).argmax(dim=1))
    assert not small.training
