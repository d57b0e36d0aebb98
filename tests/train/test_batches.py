from functools import partial

import pytest
import torch

from atrous.data import ShapesDataset
from atrous.errors import DataError
from atrous.recipe import DataSection, TrainSection
from atrous.train.batches import batches, open_split
from atrous.train.processes import World

PROCESSES = [World(rank=rank, size=3) for rank in range(3)]


def _draw(dataset, *, first_step=0, total_steps=5, workers=0, **data):
    settings = TrainSection(max_steps=total_steps, batch_size=3, seed=4)
    section = DataSection(workers=workers, **data)
    return list(batches(dataset, section, settings, first_step=first_step, total_steps=total_steps))


@pytest.fixture
def shapes():
    return ShapesDataset("train", length=7, size=(32, 48))


def test_a_batch_is_a_function_of_its_step(shapes):
    whole = _draw(shapes)
    assert [len(images) for images, _ in whole] == [3] * 5  # none is short, across epochs of 7
    tail = _draw(shapes, first_step=3)
    assert len(tail) == 2
    for (images, labels), (again, labels_again) in zip(whole[3:], tail, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)


def test_by_default_all_crops_have_the_size_of_the_first_image(shapes):
    images, labels = _draw(shapes, total_steps=1)[0]
    assert (images.shape, images.dtype) == ((3, 3, 32, 48), torch.uint8)
    assert (labels.shape, labels.dtype) == ((3, 32, 48), torch.uint8)
    assert _draw(shapes, total_steps=1, crop_size=(20, 30))[0][1].shape == (3, 20, 30)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_sample_comes_through_as_it_is(shapes, workers):
    class Spoilt(ShapesDataset):
        def __getitem__(self, index):
            if index == 3:
                raise DataError("masks/3.png: value 9 is outside the classes")
            return super().__getitem__(index)

    with pytest.raises(DataError) as error:
        _draw(Spoilt("train", length=7, size=(32, 48)), workers=workers)
    assert str(error.value) == "masks/3.png: value 9 is outside the classes"


def test_the_parts_of_all_processes_make_the_batch(shapes):
    settings, section = TrainSection(max_steps=5, batch_size=6, seed=4), DataSection(workers=0)
    draw = partial(batches, shapes, section, settings, first_step=1, total_steps=4)
    whole, *parts = (list(draw(world=world)) for world in (World(), *PROCESSES))
    for batch, *shares in zip(whole, *parts, strict=True):
        for tensor, pieces in zip(batch, zip(*shares, strict=True), strict=True):
            assert {len(piece) for piece in pieces} == {2}
            assert torch.equal(tensor, torch.cat(pieces))


def test_a_split_is_that_of_the_recipe():
    split = open_split(DataSection(source="shapes", size=(20, 30)), "val")
    assert (split.split, split[0].image.shape) == ("val", (20, 30, 3))
