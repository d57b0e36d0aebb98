import pytest
import torch

from atrous.losses import dice_loss, focal_loss, lovasz_softmax, upsampled_cross_entropy
from atrous.recipe import LossSection
from atrous.train.objective import Objective

WEIGHTS = torch.tensor([0.5, 1.0, 2.0])


@pytest.fixture
def batch():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 9, 7), dtype=torch.uint8)
    labels[0, :4] = 255
    return torch.randn(2, 3, 3, 2), torch.randn(2, 3, 5, 4), labels


def test_by_default_it_is_the_weighted_cross_entropy_to_the_bit(batch):
    logits, _, labels = batch
    ours = Objective(LossSection(), WEIGHTS)(logits, None, labels)
    assert torch.equal(ours, upsampled_cross_entropy(logits, labels, WEIGHTS))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"cross_entropy": 2}, lambda x, y: 2 * upsampled_cross_entropy(x, y, WEIGHTS)),
        ({"cross_entropy": 0, "dice": 1}, dice_loss),
        ({"cross_entropy": 0, "lovasz": 1}, lovasz_softmax),
        (
            {"cross_entropy": 0, "focal": 1, "focal_gamma": 3},
            lambda x, y: focal_loss(x, y, WEIGHTS, gamma=3),
        ),
        (
            {"label_smoothing": 0.1, "ohem_fraction": 0.25},
            lambda x, y: upsampled_cross_entropy(x, y, WEIGHTS, label_smoothing=0.1, hardest=0.25),
        ),
        (
            {"cross_entropy": 0.5, "dice": 2, "lovasz": 3},
            lambda x, y: (
                0.5 * upsampled_cross_entropy(x, y, WEIGHTS)
                + 2 * dice_loss(x, y)
                + 3 * lovasz_softmax(x, y)
            ),
        ),
    ],
)
def test_each_key_does_what_it_says(batch, section, expected):
    logits, _, labels = batch
    ours = Objective(LossSection(**section), WEIGHTS)(logits, None, labels)
    assert ours.item() == pytest.approx(expected(logits, labels).item(), rel=1e-6)


def test_the_auxiliary_head_has_the_same_loss_at_its_weight(batch):
    logits, auxiliary, labels = batch
    objective = Objective(LossSection(dice=1, aux_weight=0.3), WEIGHTS)
    expected = objective(logits, None, labels) + 0.3 * objective(auxiliary, None, labels)
    assert objective(logits, auxiliary, labels).item() == pytest.approx(expected.item())


def test_nothing_to_count_is_zero_for_all_losses_together():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    section = LossSection(dice=1, lovasz=1, focal=1, label_smoothing=0.1)
    loss = Objective(section)(logits, 2 * logits, torch.full((1, 8, 8), 255))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("section", [{}, {"focal": 1, "label_smoothing": 0.2}])
def test_by_their_shares_small_batches_add_up_to_a_big_one(batch, section, weights):
    logits, _, labels = batch
    objective = Objective(LossSection(**section), weights)
    shares = objective.shares(labels.split(1))
    assert sum(shares) == pytest.approx(1)
    assert shares[0] < shares[1]  # as half of the first image is ignored
    parts = [
        share * objective(x, None, y)
        for share, x, y in zip(shares, logits.split(1), labels.split(1), strict=True)
    ]
    assert sum(parts).item() == pytest.approx(objective(logits, None, labels).item(), rel=1e-6)


def test_shares_of_nothing_are_nothing():
    nothing = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    assert Objective(LossSection()).shares([nothing, nothing]) == [0, 0]
    assert Objective(LossSection()).shares([nothing]) == [1]
