"""Every recipe that is shipped can be read, and says what it should come to.

That its network can be built and learns, tests/contract shows.
"""

import re

import pytest

from atrous.recipe import Section, load_recipe, recipe_names

NAMES = {
    *("default", "shapes-quick", "camvid-lite0", "camvid-resnet50"),
    *("voc-deeplabv1-vgg16", "voc-deeplabv2-vgg16-aspp-l", "voc-deeplabv2-resnet101"),
    *("voc-deeplabv3-resnet50", "voc-deeplabv3-resnet101", "voc-deeplabv3-mobilenetv3"),
    *("voc-deeplabv3plus-resnet101", "cityscapes-deeplabv3plus-resnet101"),
    "ade20k-deeplabv3plus-resnet50",
}
SCORED = sorted(NAMES - {"default"})  # which is for data of one's own
SOURCE = re.compile(r"arXiv:\d{4}\.\d{4,5}, table \d+$|docs/.*\.md$|https://.*, .*(README|\.\w+)")


def test_every_file_is_a_recipe(root):
    files = list((root / "src" / "atrous" / "recipes").rglob("*"))
    assert {file.suffix for file in files} == {".yaml"}
    assert sorted(file.stem for file in files) == recipe_names() == sorted(NAMES)


@pytest.mark.parametrize("section", Section.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_key_says_what_it_means(section):
    assert len(section.model_fields) >= 4
    for key, field in section.model_fields.items():
        assert (field.description or "").rstrip().endswith("."), key


@pytest.mark.parametrize("name", SCORED)
def test_it_names_the_source_of_its_expected_score(name, root):
    expected = load_recipe(name).expected
    assert expected
    for row in expected:
        assert SOURCE.match(row.source), row.source
        if row.source.startswith("docs/"):
            assert row.measured_by == "atrous"
            assert f"{row.mean_iou:.2f}" in (root / row.source).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCORED)
def test_it_opens_with_the_command_the_data_the_time_and_the_score(name, root):
    text = (root / "src" / "atrous" / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in text.partition("\nname:")[0].splitlines())
    assert f"--recipe {name}" in comment
    assert f"--out runs/{name}" in comment
    assert "Data: " in comment
    assert re.search(r"Run in .* minutes|Not run here in full\.", comment)
    assert re.search(r"Expected: (about |less than )?\d\d\.\d|Expected: no figure", comment)
