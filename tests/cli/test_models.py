from dataclasses import replace

import pytest

from atrous.cli import main
from atrous.models import create_model
from atrous.recipe import load_recipe
from atrous.weights import published, save_model, zoo


def test_the_models_are_listed_with_where_they_come_from(capsys):
    assert main(["models"]) == 0
    table, *origins = capsys.readouterr().out.split("\n\n")
    header, *lines = table.splitlines()
    assert header.split() == ["model", "network", "size", "val", "mIoU", "measured", "on"]
    names = [*(entry.name for entry in zoo.available()), *published.NAMES]
    assert [line.split()[0] for line in lines] == names
    assert [text.split()[0] for text in origins] == names
    line = next(line for line in lines if line.startswith("camvid-lite0"))
    entry = zoo.find("camvid-lite0")
    assert entry.summary in line
    expected = load_recipe("camvid-lite0").expected[0]  # its own score is of what it has learnt
    assert f"{expected.mean_iou:.2f} %" in line
    assert f"{expected.data} {expected.split}" in line
    assert f"on images not learnt: {expected.settings}" in origins[0]
    assert entry.facts.license in origins[0]


@pytest.mark.parametrize(("split", "own"), [("train", True), ("train+val", False)])
def test_the_score_listed_is_of_images_it_has_not_learnt(split, own, capsys, monkeypatch):
    (entry,) = zoo.available()
    training = entry.facts.training | {"train_split": split, "mean_iou": 0.987654}
    facts = entry.facts.model_copy(update={"training": training})
    monkeypatch.setattr(zoo, "available", lambda: [replace(entry, facts=facts)])
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert ("98.77 %" in out) == own
    assert ("on images not learnt" in out) == (not own)


@pytest.mark.parametrize("name", published.NAMES)
def test_public_weights_are_listed_with_all_that_is_known(name, capsys):
    main(["models"])
    out = capsys.readouterr().out
    entry = published.published(name)
    line = next(line for line in out.splitlines() if line.startswith(name))
    for fact in (
        entry.summary,
        f"{entry.bytes / 1e6:.1f} MB",
        f"{100 * entry.mean_iou:.2f} %",
        entry.measured_on,
    ):
        assert fact in line
    origin = next(text for text in out.split("\n\n")[1:] if text.startswith(name))
    for fact in (entry.url, f"begins with {entry.sha256}", entry.license, "downloaded when first"):
        assert fact in origin


def test_a_list_downloads_nothing(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("downloaded")

    monkeypatch.setattr("atrous.weights.published.download", refuse)
    assert main(["models"]) == 0
    assert main(["models", "--card", published.NAMES[0]]) == 0


def test_a_card_is_printed_as_it_is(capsys):
    assert main(["models", "--card", "camvid-lite0"]) == 0
    assert capsys.readouterr().out == zoo.card("camvid-lite0").rstrip() + "\n"


def test_the_card_of_a_run_is_written_for_a_hub(capsys, tmp_path):
    model = create_model("deeplabv3", backbone="test_resnet", classes=("sky", "road"))
    facts = {"recipe": "mine", "dataset": "streets", "mean_iou": 0.5}
    save_model(model, tmp_path / "runs" / "first" / "best.safetensors", training=facts)
    out = tmp_path / "README.md"
    assert main(["models", "--card", str(tmp_path / "runs" / "first"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    card = out.read_text()
    assert card.startswith("---\nlibrary_name: atrous\n")
    assert "\n# first\n" in card
    assert "- mean IoU: 50.00 %" in card


def test_a_run_is_put_on_the_hub_with_its_card(capsys, monkeypatch):
    asked = []

    def push_to_hub(model, repository, *, private):
        asked.append((model, repository, private))
        return f"hf:{repository}"

    monkeypatch.setattr("atrous.weights.push_to_hub", push_to_hub)
    assert main(["models", "--card", "runs/first", "--push", "owner/street", "--private"]) == 0
    assert asked == [("runs/first", "owner/street", True)]
    assert capsys.readouterr().out == "hf:owner/street\n"


@pytest.mark.parametrize("words", [["--out", "README.md"], ["--push", "owner/name"]])
def test_a_place_for_no_card_ends_with_2(words, capsys):
    assert main(["models", *words]) == 2
    assert "name the model with --card" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["camvid-lite", "unknown"])
def test_a_card_that_is_not_there_ends_with_2(name, capsys):
    assert main(["models", "--card", name]) == 2
    assert f"model '{name}'" in capsys.readouterr().err
