import copy

import pytest
import torch

from atrous.errors import UsageError
from atrous.fast import optimize


def test_what_the_numbers_mean_is_kept(make):
    model = make("deeplabv3", output_stride=8)
    model.name_classes(("sky", "road", "tree"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    fast = optimize(model)
    for name in ("classes", "palette", "preprocessing", "output_stride", "rates", "blueprint"):
        assert getattr(fast, name) == getattr(model, name)


def test_it_does_not_train(make):
    fast = optimize(make("deeplabv3"))
    assert fast.eval() is fast
    with pytest.raises(UsageError, match="an optimized model does not train; train the model"):
        fast.train()
    assert not any(module.training for module in fast.modules())


def test_what_would_undo_it_is_refused(make):
    fast = optimize(make("deeplabv3"))
    with pytest.raises(UsageError, match="keeps output_stride 16"):
        fast.set_output_stride(8)
    with pytest.raises(UsageError, match="is not saved; save the model"):
        fast.state_dict()


def test_logits_need_no_gradient(make):
    fast = optimize(make("deeplabv3"))
    assert not fast(torch.zeros(1, 3, 33, 33)).requires_grad


def test_a_copy_computes_the_same(make):
    fast, images = optimize(make("deeplabv3plus")), torch.randn(1, 3, 33, 33)
    assert torch.equal(copy.deepcopy(fast)(images), fast(images))


def test_stored_pictures_are_normalised_inside(make):
    model = make("deeplabv3plus")
    fast = optimize(model)
    pictures = torch.randint(0, 256, (2, 33, 47, 3), dtype=torch.uint8)
    images = model.preprocessing(pictures.permute(0, 3, 1, 2))
    for way in ("coarse_logits", "forward"):
        logits, expected = getattr(fast, way)(pictures), getattr(model, way)(images)
        assert logits.shape == expected.shape
        assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


def test_stored_pictures_of_another_size_are_refused(make):
    fast = optimize(make("deeplabv3"), size=(33, 65))
    with pytest.raises(UsageError, match="up to 33x65 pixels, got 34x65"):
        fast(torch.zeros(1, 34, 65, 3, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(1, 3, 34, 65), (34, 65, 3), (1, 34, 65, 4)])
def test_stored_pictures_of_another_layout_are_refused(make, shape):
    fast = optimize(make("deeplabv3"))
    for way in (fast, fast.coarse_logits):
        with pytest.raises(UsageError, match=r"as they are stored, \(B, H, W, 3\), got \("):
            way(torch.zeros(shape, dtype=torch.uint8))
