import re
import shutil
import statistics

import pytest
import torch

from atrous.errors import DataError, UsageError
from atrous.recipe import load_recipe
from atrous.weights import load_model, published, save_model, zoo
from atrous.weights.model_card import scored_what_it_learnt

PROSE = """# {name}

{summary}; {megabytes} MB. Classes: {classes}.
mIoU {mean_iou}, weighted {frequency_weighted_iou}, accuracy {pixel_accuracy}; {minutes} minutes.

{license} {sha256} {steps}
"""
TRAINING = {
    "name": "small",
    "mean_iou": 0.612345,
    "pixel_accuracy": 0.91234567,
    "frequency_weighted_iou": None,
    "minutes": 42.3,
    "steps": 1200,
}


@pytest.fixture
def embedded(tmp_path, monkeypatch, model):
    """Put models of other names in the place of those that come with atrous."""
    monkeypatch.setattr(zoo, "_EMBEDDED", tmp_path)
    save_model(model, tmp_path / "small.safetensors", training=TRAINING, license="Free.")
    (tmp_path / "small.md").write_text(PROSE, encoding="utf-8")
    shutil.copy(tmp_path / "small.safetensors", tmp_path / "large.safetensors")
    return tmp_path


def test_the_models_are_those_of_the_folder(embedded):
    entries = zoo.available()
    assert [entry.name for entry in entries] == ["large", "small"]
    assert entries[1].bytes == (embedded / "small.safetensors").stat().st_size
    assert entries[1].summary == "deeplabv3plus, test_resnet, output stride 8, 3 classes"
    assert entries[1].facts.training["steps"] == 1200


def test_a_model_is_loaded_by_its_name_and_from_its_file(embedded, model):
    image = torch.randn(1, 3, 33, 33)
    file = embedded / "small.safetensors"
    for source in ("small", file, str(file)):
        assert torch.equal(load_model(source)(image), model(image))


def test_facts_are_those_of_a_file_or_of_what_comes_with_atrous(embedded):
    by_name = zoo.facts_of("small")
    assert by_name.training["steps"] == 1200
    assert zoo.facts_of(embedded / "small.safetensors") == by_name
    assert zoo.facts_of(published.NAMES[0]) is None


def test_a_file_needs_no_suffix(embedded, model, monkeypatch):
    shutil.copy(embedded / "small.safetensors", embedded / "mine")
    monkeypatch.chdir(embedded)
    assert load_model("mine").classes == model.classes


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smal", "did you mean small?"),
        ("torchvision/deeplabv3_resnet5", "did you mean torchvision/deeplabv3_resnet50?"),
        ("elephant", "'atrous models' lists those that are"),
    ],
)
def test_an_unknown_name_brings_the_nearest(embedded, name, hint):
    with pytest.raises(UsageError) as caught:
        load_model(name)
    assert str(caught.value) == f"model '{name}' is neither a file nor a known name; {hint}"


def test_each_kind_of_name_is_looked_up_where_it_belongs(embedded, model, monkeypatch):
    asked = []
    for module, function in ((zoo.hub, "load_from_hub"), (zoo.published, "load_published")):
        monkeypatch.setattr(module, function, lambda name: asked.append(name) or model)
    names = ["hf:owner/name@main", *published.NAMES]
    assert all(load_model(name) is model for name in names)
    assert asked == names


def test_a_file_goes_before_a_name(embedded, model, monkeypatch):
    file = embedded / published.NAMES[0]
    file.parent.mkdir()
    shutil.copy(embedded / "small.safetensors", file)
    monkeypatch.chdir(embedded)
    assert load_model(published.NAMES[0]).classes == model.classes


def test_a_name_that_ends_like_a_file_is_one(embedded):
    with pytest.raises(DataError, match=r"smal\.safetensors: no such file"):
        load_model("smal.safetensors")


def test_a_card_tells_the_figures_of_its_file(embedded, model):
    facts = zoo.find("small").facts
    assert zoo.card("small") == (
        "# small\n\n"
        "deeplabv3plus, test_resnet, output stride 8, 3 classes; "
        f"{(embedded / 'small.safetensors').stat().st_size / 1e6:.1f} MB. "
        "Classes: sky, road, tree.\n"
        "mIoU 61.23 %, weighted n/a, accuracy 91.23 %; 42.3 minutes.\n\n"
        f"Free. {facts.sha256} 1200\n"
    )


def test_a_model_without_a_name_has_no_card(embedded):
    with pytest.raises(UsageError, match="did you mean small"):
        zoo.card("smal")


def test_public_weights_have_a_card():
    name = published.NAMES[0]
    assert zoo.card(name) == published.card(published.published(name))


def test_the_model_that_comes_with_atrous():
    entry = zoo.find("camvid-lite0")
    assert entry.bytes <= 12_000_000
    model = load_model("camvid-lite0")
    assert len(model.classes) == len(set(model.classes)) == 11
    assert model.classes[:3] == ("Sky", "Building", "Pole")
    assert entry.facts.license
    assert not model.training
    assert model(torch.zeros(1, 3, 65, 97)).shape == (1, 11, 65, 97)


def test_its_card_has_no_gap_and_states_its_own_figures():
    entry, card = zoo.find("camvid-lite0"), zoo.card("camvid-lite0")
    assert "{" not in card
    assert "}" not in card
    training = entry.facts.training
    assert f"{100 * training['mean_iou']:.2f} %" in card
    assert training["best_step"] == training["steps"]  # as the card says
    assert entry.facts.sha256 in card


def test_its_card_states_what_its_recipe_comes_to_on_images_not_learnt():
    entry, card = zoo.find("camvid-lite0"), zoo.card("camvid-lite0")
    assert scored_what_it_learnt(entry.facts.training)
    stated = re.search(
        r"mIoU ([\d.]+) ± ([\d.]+) % .*: ([\d.]+), ([\d.]+) and ([\d.]+) ", card, re.S
    )
    mean, deviation, *seeds = map(float, stated.groups())
    assert mean == load_recipe("camvid-lite0").expected[0].mean_iou
    assert mean == pytest.approx(statistics.mean(seeds), abs=0.01)
    assert deviation == pytest.approx(statistics.stdev(seeds), abs=0.01)
    rows = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|", card, re.M))
    assert tuple(rows) == entry.facts.classes
    assert statistics.mean(map(float, rows.values())) == pytest.approx(mean, abs=0.01)
