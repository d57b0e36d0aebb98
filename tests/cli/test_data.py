import json
import shutil

import numpy as np
import pytest
from PIL import Image

from atrous.cli import main
from atrous.data import open_dataset, read_image


def check(folder, *words):
    return main(["data", "check", str(folder), *words])


@pytest.fixture
def trainable(dataset):
    """The data set with a training split as well, whose pictures are others."""
    for kind in ("images", "masks"):
        shutil.copytree(dataset / kind / "val", dataset / kind / "train")
    for number, path in enumerate(sorted((dataset / "images/train").iterdir())):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(path)
    return dataset


@pytest.fixture
def binary(trainable):
    """The same with masks of 0 and 255, and no `dataset.yaml`."""
    for path in (trainable / "masks").glob("*/*.png"):
        mask = np.zeros((40, 60), dtype=np.uint8)
        mask[:, 30:] = 255
        Image.fromarray(mask).save(path)
    (trainable / "dataset.yaml").unlink()
    return trainable


def test_a_good_set_ends_with_0(trainable, capsys):
    assert check(trainable) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith(f"{trainable}: train 2, val 2 (pairs)\n")
    assert "error" not in output.out
    assert any(line.split()[:1] == ["road"] for line in output.out.splitlines())


def test_warnings_alone_end_with_0(trainable, capsys):
    assert check(trainable, "--recipe", "default") == 0
    output = capsys.readouterr().out
    assert "warning" in output
    assert "rate 6, 12, 18" in output


def test_errors_end_with_3_and_each_has_its_cure(trainable, capsys):
    (trainable / "masks/val/b.png").write_bytes(b"")
    (trainable / "images/train/a.png").unlink()
    assert check(trainable) == 3
    output = capsys.readouterr()
    assert output.err == f"error: {trainable}: 2 errors; mend them before training\n"
    assert "masks/val/b.png: is empty" in output.out
    assert f"mv -n {trainable}/masks/train/a.png {trainable}/aside/masks/\n" in output.out


def test_what_is_proposed_can_be_accepted(binary, capsys):
    assert check(binary) == 3
    output = capsys.readouterr().out
    assert f"atrous data check {binary} --write" in output
    assert "  - {name: foreground, value: 255}" in output
    assert not (binary / "dataset.yaml").exists()
    assert check(binary, "--write") == 0
    assert f"wrote {binary}/dataset.yaml" in capsys.readouterr().out
    assert np.unique(open_dataset(binary, "train")[0].labels).tolist() == [0, 1]
    assert sorted(path.name for path in binary.iterdir()) == ["dataset.yaml", "images", "masks"]
    assert check(binary) == 0


def test_json_is_all_that_is_printed(binary, capsys):
    assert check(binary, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0]["kind"] == "no-dataset-yaml"
    assert document["proposal"].startswith("classes:")
    assert document["pairs"] == {"train": 2, "val": 2}


def test_the_picture_lies_outside_of_the_data_set(trainable, tmp_path, capsys):
    assert check(trainable, "--out", str(trainable / "sheets" / "a.png")) == 2
    assert "lies in the data set" in capsys.readouterr().err
    assert check(trainable, "--out", str(tmp_path / "sheets" / "a.png")) == 0
    assert capsys.readouterr().out.endswith(f"wrote {tmp_path}/sheets/a.png\n")
    assert read_image(tmp_path / "sheets" / "a.png").shape[2] == 3


def test_classes_can_be_given_instead_of_a_dataset_yaml(binary):
    assert check(binary, "--classes", "no", "yes=255") == 0
    assert check(binary, "--classes", "no", "yes=1", "--ignore", "255") == 3
    assert check(binary, "--classes", "no", "yes=1") == 3


def test_ignore_alone_replaces_that_of_dataset_yaml(trainable, capsys):
    assert check(trainable, "--ignore", "8") == 3
    assert "values of no class: 9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "exit_code", "complaint"),
    [
        (["check", "nowhere"], 3, "nowhere: "),
        (["mend", "nowhere"], 2, ""),
        (["check", "{}", "--write"], 2, "dataset.yaml is there"),
        (["check", "{}", "--write", "--classes", "a", "b"], 2, "leave out --classes"),
        (["check", "{}", "--recipe", "defalt"], 2, "use default"),
    ],
)
def test_wrong_words_are_explained(trainable, capsys, words, exit_code, complaint):
    assert main(["data", *(word.format(trainable) for word in words)]) == exit_code
    assert complaint in capsys.readouterr().err


def test_nothing_to_propose_is_told(binary, capsys):
    for path in (binary / "masks").glob("*/*.png"):
        path.write_bytes(b"")
    assert check(binary, "--write") == 3
    assert "no dataset.yaml can be proposed" in capsys.readouterr().err
    assert not (binary / "dataset.yaml").exists()


def test_other_layouts_are_not_called_faulty(tmp_path, capsys):
    for kind in ("leftImg8bit", "gtFine"):
        (tmp_path / kind / "train" / "ulm").mkdir(parents=True)
    assert check(tmp_path) == 2
    assert "is laid out as cityscapes" in capsys.readouterr().err
