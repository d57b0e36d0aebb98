import html
import re
import shlex

import pytest

from atrous.files import write_text
from atrous.recipe import load_recipe
from atrous.train.report import details
from atrous.train.report.run_record import read_run


def _commands(run):
    found = re.findall(r"<code>([^<]*)</code>", details.commands(run))
    return [shlex.split(html.unescape(line)) for line in found]


def test_the_commands_can_be_typed_as_they_stand(finished_run):
    predict, evaluate, resume, again = _commands(read_run(finished_run))
    model = str(finished_run / "best.safetensors")
    assert predict == ["atrous", "predict", "PHOTO", "--model", model]
    assert evaluate[2:] == ["--model", model, "--data", "my photos", "--split", "val"]
    assert resume == ["atrous", "train", "--resume", "--out", str(finished_run)]
    assert again == ["atrous", "train", "--recipe", str(finished_run / "recipe.yaml")]


def test_classes_of_a_folder_without_a_description_are_said_again(finished_run):
    settings = ["data.classes=[road=7, car]", "data.ignore=[0, 9]", "train.max_steps=60"]
    write_text(finished_run / "recipe.yaml", load_recipe("shapes-quick", settings).to_yaml())
    words = _commands(read_run(finished_run))[1]
    assert words[-6:] == ["--classes", "road=7", "car", "--ignore", "0", "9"]


def test_without_a_model_file_there_is_nothing_to_predict_with(stopped_run):
    assert [words[2] for words in _commands(read_run(stopped_run))] == ["--resume", "--recipe"]


def test_the_environment_is_what_is_known(finished_run, stopped_run):
    text = details.environment(read_run(finished_run, {"python": "3.11.7"}))
    pairs = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", text)
    assert pairs == [
        ("processor", "&lt;i&gt;fast&lt;/i&gt;"),
        ("Python", "3.11.7"),
        ("torch", "2.10"),
        ("seed", "3"),
    ]


def test_without_facts_there_is_no_environment(stopped_run):
    assert details.environment(read_run(stopped_run)) == ""


def test_the_recipe_is_there_to_the_letter(stopped_run):
    run = read_run(stopped_run)
    text = re.search(r"<code>(.*)</code>", details.recipe(run), re.DOTALL)
    assert html.unescape(text[1]) == (stopped_run / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3_984_008, "3.98 MB")],
)
def test_files_have_sizes_that_can_be_read(tmp_path, size, shown):
    write_text(tmp_path / "checkpoints" / "step-1" / "a", "x" * size)
    write_text(tmp_path / "unknown.txt", "not listed")
    assert re.findall(r"<t[hd][^>]*>([^<]*)", details.files(tmp_path))[:2] == [
        "checkpoints/",
        shown,
    ]
    assert details.files(tmp_path).count("<tr>") == 1
