import sys

import pytest
import torch

from atrous.errors import ResourceError
from atrous.train import train
from atrous.train.batch_size import _free_of_container, _step_bytes, fit_batch_size, free_memory
from atrous.train.processes import World

_ASKED = "train.find_batch_size=true"


def test_a_recipe_that_does_not_ask_keeps_its_batch(tiny_recipe):
    recipe = tiny_recipe()
    assert fit_batch_size(recipe, free=0) is recipe


@pytest.mark.parametrize(
    ("images", "batch_size", "accumulate_steps"), [(100, 12, 2), (7.5, 6, 4), (5, 4, 6), (1, 1, 24)]
)
def test_the_step_keeps_its_images(tiny_recipe, images, batch_size, accumulate_steps):
    recipe = tiny_recipe("train.batch_size=12", "train.accumulate_steps=2", _ASKED)
    weights, image = _step_bytes(recipe, torch.device("cpu"))
    said = []
    found = fit_batch_size(recipe, free=weights + int(images * image) + 1, say=said.append).train
    assert (found.batch_size, found.accumulate_steps) == (batch_size, accumulate_steps)
    assert not found.find_batch_size
    assert f"train.batch_size={batch_size} " in said[0]


def test_several_processes_have_equal_parts(tiny_recipe):
    recipe = tiny_recipe("train.batch_size=12", _ASKED)
    weights, image = _step_bytes(recipe, torch.device("cpu"))
    found = fit_batch_size(recipe, world=World(size=2), free=weights + 3 * image).train
    assert (found.batch_size, found.accumulate_steps) == (6, 2)


def test_not_even_one_image_is_an_error_with_a_cure(tiny_recipe):
    with pytest.raises(ResourceError, match=r"lower data\.crop_size"):
        fit_batch_size(tiny_recipe(_ASKED), free=1000)


def test_what_is_saved_is_counted(tiny_recipe):
    """A lower bound that can be told: twice the crop is twice the memory."""
    cpu = torch.device("cpu")
    _, small = _step_bytes(tiny_recipe("data.crop_size=[64, 96]"), cpu)
    _, large = _step_bytes(tiny_recipe("data.crop_size=[128, 96]"), cpu)
    assert large / small == pytest.approx(2, rel=0.1)
    dense = "train.second_stage={output_stride: 4}"
    assert _step_bytes(tiny_recipe("data.crop_size=[64, 96]", dense), cpu)[1] > 1.2 * small


def test_the_smaller_of_machine_and_container_counts(tmp_path):
    assert 1e8 < free_memory(torch.device("cpu")) < 1e13
    assert _free_of_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.current").write_text("400\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_of_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("1000\n")
    assert _free_of_container(tmp_path) == 600


def test_the_run_keeps_what_was_found(tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("atrous.train.batch_size.free_memory", lambda device: 10**10)
    train(tiny_recipe(_ASKED, "train.max_steps=1"), tmp_path / "run")
    kept = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "find_batch_size: false" in kept
    assert "batch_size: 4" in kept
