import pytest

from atrous.cli import main
from atrous.weights import zoo


def test_the_models_that_come_with_atrous_are_listed(capsys):
    assert main(["models"]) == 0
    table, *licences = capsys.readouterr().out.split("\n\n")
    header, *lines = table.splitlines()
    assert header.split() == ["model", "network", "size", "val", "mIoU"]
    assert [text.split(":")[0] for text in licences] == [
        f"licence of {entry.name}" for entry in zoo.available()
    ]
    assert [line.split()[0] for line in lines] == [entry.name for entry in zoo.available()]
    line = next(line for line in lines if line.startswith("camvid-lite0"))
    entry = zoo.find("camvid-lite0")
    assert entry.summary in line
    assert f"{100 * entry.facts.training['mean_iou']:.2f} %" in line


def test_a_card_is_printed_as_it_is(capsys):
    assert main(["models", "--card", "camvid-lite0"]) == 0
    assert capsys.readouterr().out == zoo.card("camvid-lite0").rstrip() + "\n"


@pytest.mark.parametrize("name", ["camvid-lite", "unknown"])
def test_a_card_that_is_not_there_ends_with_2(name, capsys):
    assert main(["models", "--card", name]) == 2
    assert f"model '{name}'" in capsys.readouterr().err
