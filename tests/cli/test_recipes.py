import pytest

from atrous.cli.recipes import Recipes
from atrous.errors import RecipeError
from atrous.recipe import load_recipe, recipe_names


@pytest.fixture
def listed(capsys):
    Recipes().run()
    table, *sources = capsys.readouterr().out.split("\n\n")
    return table.splitlines(), sources


def test_each_recipe_is_a_line_with_its_nearest_score(listed):
    header, *lines = listed[0]
    assert header.split() == ["recipe", "network", "data", "expected", "mIoU", "measured", "by"]
    assert [line.split()[0] for line in lines] == recipe_names()
    lines = {line.split()[0]: line for line in lines}
    paper = lines["voc-deeplabv3-resnet101"]
    for fact in ("deeplabv3, resnet101", "Pascal VOC 2012 val", "near 77.21 %", "the paper"):
        assert fact in paper
    assert "near" not in lines["camvid-lite0"]  # the very training was measured
    assert "74.18 %" in lines["camvid-lite0"]
    assert lines["default"].rstrip().endswith("your own")


def test_each_score_is_listed_with_its_source(listed):
    sources = {text.splitlines()[0]: text for text in listed[1]}
    assert list(sources) == [name for name in recipe_names() if name != "default"]
    for name, text in sources.items():
        for row in load_recipe(name).expected:
            for fact in (f"{row.mean_iou:.2f} %", row.settings, row.source, row.differs):
                assert fact in text


def test_a_recipe_is_printed_as_it_is_and_can_be_read_back(capsys, tmp_path):
    Recipes(show="voc-deeplabv3-resnet101").run()
    file = tmp_path / "mine.yaml"
    file.write_text(capsys.readouterr().out)
    assert load_recipe(file) == load_recipe("voc-deeplabv3-resnet101")
    assert file.read_text().startswith("# DeepLab v3")


@pytest.mark.parametrize("name", ["camvid-lite", "pyproject.toml"])
def test_what_is_no_recipe_is_told(name):
    with pytest.raises(RecipeError, match="use "):
        Recipes(show=name).run()
