import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import atrous
from atrous.kernels.label_map import label_map

sides = st.integers(1, 12)


@given(
    batch=st.integers(1, 3),
    classes=st.integers(1, 6),
    grid=st.tuples(sides, sides),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 9999),
)
def test_it_is_the_best_class_of_the_resized_logits(batch, classes, grid, size, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, *grid, generator=generator)
    resized = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    labels = label_map(logits, size=size)
    assert labels.dtype == torch.uint8
    assert labels.shape == (batch, *size)
    assert torch.equal(labels.long(), resized.argmax(dim=1))


@pytest.mark.parametrize(
    ("classes", "dtype"), [(255, torch.uint8), (256, torch.int32), (300, torch.int32)]
)
def test_many_classes_need_a_wider_type(classes, dtype):
    logits = torch.zeros(1, classes, 1, 2)
    logits[0, classes - 1] = 1
    labels = label_map(logits, size=(2, 2))
    assert labels.dtype == dtype  # 255 itself is left to mean "ignore"
    assert labels.unique().tolist() == [classes - 1]


def test_of_equals_the_first_wins():
    assert not label_map(torch.zeros(1, 4, 2, 2), size=(5, 5)).any()


def test_logits_stay_as_they_are():
    logits = torch.randn(1, 3, 4, 4)
    before = logits.clone()
    label_map(logits, size=(4, 4))
    assert torch.equal(logits, before)


def test_it_has_a_public_name():
    assert atrous.label_map is label_map
