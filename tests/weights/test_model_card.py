import math

import huggingface_hub
import pytest
import yaml

from atrous.weights import save_model
from atrous.weights.model_card import model_card
from atrous.weights.model_file import read_facts

TRAINING = {
    "name": "small",
    "recipe": "camvid-lite0",
    "steps": 1200,
    "mean_iou": 0.612345,
    "pixel_accuracy": None,
    "seconds": 12.5,
    "class_iou": {"sky": 0.9, "road": None, "tree|bush": 1 / 3},
    "published": {"mean_iou": 0.5, "measured_on": "some\nimages"},
    "converted": {"origin": "smp", "verdict": "checked", "settings": {"a": 1}},
}


@pytest.fixture
def card(model, tmp_path):
    """Make the card of a model with these facts."""

    def make(training=None, license=""):
        file = save_model(model, tmp_path / "a", training=training or {}, license=license)
        return model_card(read_facts(file), "hf:owner/street-net", megabytes=1.23)

    return make


def header(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_it_tells_the_facts_of_the_file(card):
    text = card(TRAINING, "Free for all.")
    for line in (
        "# small",
        "- recipe: camvid-lite0",
        "- steps: 1200",
        "- mean IoU: 61.23 %",
        "- seconds: 12.5",
        "- published: mean iou 50.00 %, measured on some images",
        "- converted from smp: checked",
        "| sky | 90.00 % |",
        "| road | n/a |",
        "| tree\\|bush | 33.33 % |",
        "sky, road, tree",
        "Free for all.",
    ):
        assert line in text.splitlines()
    assert "pixel accuracy" not in text
    assert "deeplabv3plus on test_resnet, output stride 8, 3 classes; 1.2 MB." in text


@pytest.mark.parametrize(("split", "is_learnt"), [("train", False), ("train+val", True)])
def test_scores_of_what_was_learnt_are_not_for_comparing(card, split, is_learnt):
    text = card({"train_split": split, "val_split": "val", "mean_iou": 0.9})
    assert ("model-index" in header(text)) is not is_learnt
    assert ("images it has learnt from" in text) is is_learnt
    assert "- mean IoU: 90.00 %" in text.splitlines()


def test_its_code_is_five_lines_that_load_the_model(card):
    text = card()
    code = text.split("```python\n")[1].split("```")[0]
    assert 'atrous.Segmenter("hf:owner/street-net")' in code
    assert len(code.strip().splitlines()) == 5
    compile(code, "card", "exec")


def test_without_facts_it_says_so(card):
    text = card()
    assert "# street-net\n" in text
    assert "- The file does not say." in text
    assert "The file names none." in text
    assert "license" not in header(text)


@pytest.mark.parametrize(
    ("license", "known"),
    [
        ("Apache-2.0", "apache-2.0"),
        ("MIT", "mit"),
        ("cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("Weights under Apache-2.0", "other"),
        ("a: b\n- c", "other"),
    ],
)
def test_its_header_is_what_the_hub_reads(card, license, known):
    assert header(card(license=license)) == {
        "library_name": "atrous",
        "pipeline_tag": "image-segmentation",
        "license": known,
        "tags": ["semantic-segmentation", "deeplab", "deeplabv3plus"],
    }


def test_its_header_has_the_scores_as_the_hub_reads_them(card):
    scores = {"dataset": "My: shapes\n#", "val_split": "val", "mean_iou": 0.612345}
    text = card(TRAINING | scores | {"frequency_weighted_iou": math.nan}, "MIT")
    assert "datasets" not in header(text)  # no name of the hub
    data = huggingface_hub.ModelCard(text).data
    (result,) = data.eval_results
    assert (data.model_name, result.dataset_name, result.dataset_split) == (
        "small",
        "My: shapes #",
        "val",
    )
    assert (result.task_type, result.dataset_type) == ("image-segmentation", "my-shapes")
    assert (result.metric_type, result.metric_value, result.metric_name) == (
        "mean_iou",
        0.6123,
        "mean IoU",
    )


def test_a_dataset_of_the_hub_is_linked(card):
    assert header(card({"dataset": "owner/streets"}))["datasets"] == ["owner/streets"]


def test_nothing_of_the_file_becomes_markup(card):
    text = card({"name": "a\n# huge", "recipe": "<script>\n# big", "by": "__me__"}, "<b>x\n\n# y")
    assert "<script" not in text
    assert "<b>" not in text
    assert "- by: \\_\\_me\\_\\_" in text
    assert "\n# huge" not in text
    assert "\n# big" not in text
    assert "\n# y" not in text
