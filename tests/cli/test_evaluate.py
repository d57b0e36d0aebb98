import json

import numpy as np
import pytest
from PIL import Image

from atrous.cli import main
from atrous.data import open_dataset, read_image
from atrous.evaluate import evaluate
from atrous.weights import load_model, save_model


def run(dataset, *words, model, out):
    arguments = ["--data", str(dataset), "--model", model, "--out", str(out), *words]
    return main(["evaluate", *arguments])


def test_table_json_and_picture(dataset, model_file, tmp_path, capsys):
    out = tmp_path / "scores"
    assert run(dataset, model=model_file, out=out) == 0
    expected = evaluate(load_model(model_file), open_dataset(dataset, "val"))
    found = json.loads((out / "evaluation.json").read_text())
    asked = {"model": model_file, "data": str(dataset), "split": "val", "output_stride": 16}
    assert found == asked | expected.to_json()
    assert found["pixels"] < 2 * 40 * 60  # those of value 9 are ignored
    assert read_image(out / "confusion-matrix.png").shape[2] == 3
    assert sorted(path.name for path in out.iterdir()) == [
        "confusion-matrix.png",
        "evaluation.json",
    ]
    output = capsys.readouterr()
    assert output.err == ""
    lines = output.out.splitlines()
    assert lines[0] == "streets, val: 2 images"
    assert any(line.split()[:1] == ["road"] for line in lines)
    assert f"mIoU                    {100 * expected.scores.mean_iou:.2f} %" in lines
    assert lines[-1] == f"wrote {out}/evaluation.json and {out}/confusion-matrix.png"


@pytest.mark.parametrize(
    ("name", "split", "learnt"),
    [("streets", "train+val", True), ("streets", "train", False), ("lanes", "val", False)],
)
def test_a_score_on_what_was_learnt_is_told(
    name, split, learnt, dataset, model_file, tmp_path, capsys
):
    model = str(tmp_path / "learnt.safetensors")
    save_model(load_model(model_file), model, training={"dataset": name, "train_split": split})
    assert run(dataset, model=model, out=tmp_path / "scores") == 0
    warning = (
        f"warning: {model} has learnt from {split} of {name}: this score says nothing of other "
        "images\n"
    )
    assert capsys.readouterr().err == warning * learnt


def test_another_output_stride(dataset, model_file, tmp_path):
    out = tmp_path / "scores"
    assert run(dataset, "--output-stride", "8", model=model_file, out=out) == 0
    model = load_model(model_file)
    model.set_output_stride(8)
    found = json.loads((out / "evaluation.json").read_text())
    expected = evaluate(model, open_dataset(dataset, "val")).to_json()
    assert found["output_stride"] == 8
    assert found["confusion_matrix"] == expected["confusion_matrix"]


def test_classes_can_be_given_instead_of_a_dataset_yaml(dataset, model_file, tmp_path):
    out = tmp_path / "scores"
    assert run(dataset, model=model_file, out=out) == 0
    by_file = json.loads((out / "evaluation.json").read_text())
    (dataset / "dataset.yaml").unlink()
    words = ["--classes", "sky", "road=1", "car=2#ff0000", "--ignore", "9", "10"]
    assert run(dataset, *words, model=model_file, out=out) == 0
    by_words = json.loads((out / "evaluation.json").read_text())
    assert by_words["confusion_matrix"] == by_file["confusion_matrix"]


def _mask_of_another_size(dataset):
    Image.new("L", (60, 41)).save(dataset / "masks/val/b.png")
    return "masks/val/b.png: "


def _value_outside_the_classes(dataset):
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[3, 4] = 37
    Image.fromarray(mask).save(dataset / "masks/val/b.png")
    return "masks/val/b.png: value 37 at 1 pixel"


def _truncated_image(dataset):
    whole = (dataset / "images/val/a.png").read_bytes()
    (dataset / "images/val/a.png").write_bytes(whole[: len(whole) // 2])
    return "images/val/a.png: "


def _no_masks(dataset):
    (dataset / "masks/val/a.png").unlink()
    return "images/val: a has no mask"


def _other_classes(dataset):
    text = (dataset / "dataset.yaml").read_text()
    (dataset / "dataset.yaml").write_text(text.replace("car", "bus"))
    return "the model lacks bus; the data set lacks car"


@pytest.mark.parametrize(
    "spoil",
    [
        _mask_of_another_size,
        _value_outside_the_classes,
        _truncated_image,
        _no_masks,
        _other_classes,
    ],
)
def test_bad_data_is_one_line_and_writes_nothing(dataset, model_file, tmp_path, capsys, spoil):
    complaint = spoil(dataset)
    assert run(dataset, model=model_file, out=tmp_path / "scores") == 3
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize(
    ("words", "exit_code", "complaint"),
    [
        (["--split", "test"], 3, "no such split"),
        (["--data", "nowhere"], 3, "nowhere: "),
        (["--classes", "sky", "road=x"], 2, "class 'road=x'"),
        (["--data", "shapes"], 3, "the model lacks"),
        (["--engine", "abacus"], 2, "engine 'abacus' is unknown"),
        (["--precision", "fp8"], 2, "precision 'fp8' is unknown"),
    ],
)
def test_wrong_words_are_one_line(
    dataset, model_file, tmp_path, capsys, words, exit_code, complaint
):
    assert run(dataset, *words, model=model_file, out=tmp_path / "scores") == exit_code
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_model_is_refused(dataset, tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04pickle")
    code = run(dataset, model=str(tmp_path / "model.safetensors"), out=tmp_path / "scores")
    assert code == 3
    assert "model.safetensors: not a model file" in capsys.readouterr().err
