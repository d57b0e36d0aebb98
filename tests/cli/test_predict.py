import json

import numpy as np
import pytest

from atrous.cli import main
from atrous.data import read_image, read_mask
from atrous.predict import Segmenter


def files_below(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def predict(*words, model, out):
    return main(["predict", *map(str, words), "--model", model, "--out", str(out)])


def test_masks_overlays_and_shares(photos, model_file, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(photos, model=model_file, out=out) == 0
    assert files_below(out) == [
        "street.mask.png",
        "street.overlay.png",
        "trip/hill.mask.png",
        "trip/hill.overlay.png",
    ]
    expected = Segmenter(model_file)(photos / "trip" / "hill.png")
    assert np.array_equal(read_mask(out / "trip/hill.mask.png"), expected.labels)
    assert np.array_equal(read_image(out / "trip/hill.overlay.png"), np.array(expected.overlay()))
    output = capsys.readouterr()
    header, street, hill, written = output.out.splitlines()
    assert header.split() == ["photo", "size", "classes"]
    assert street.split()[:2] == ["street.jpg", "90x60"]
    assert hill.split()[:2] == ["trip/hill.png", "31x47"]
    largest = max(expected.shares().items(), key=lambda share: share[1])
    assert hill.split()[2:4] == [largest[0], f"{100 * largest[1]:.0f}"]
    assert (
        written == f"wrote 4 files to {out}/: 2 x *.mask.png, 2 x *.overlay.png (optimized, fp32)"
    )
    assert output.err == ""


def test_one_format_alone(photos, model_file, tmp_path):
    assert predict(photos, "--format", "overlay", model=model_file, out=tmp_path / "out") == 0
    assert files_below(tmp_path / "out") == ["street.overlay.png", "trip/hill.overlay.png"]


def test_an_engine_can_be_named(photos, model_file, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(photos, "--engine", "torch", model=model_file, out=out) == 0
    assert capsys.readouterr().out.endswith("(torch, fp32)\n")


def test_a_pattern_and_the_default_folder(photos, model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "photos/*.jpg", "--model", model_file]) == 0
    assert files_below(tmp_path / "predictions") == ["street.mask.png", "street.overlay.png"]


def test_a_bad_file_is_named_and_stops_nothing(photos, model_file, tmp_path, capsys):
    whole = (photos / "street.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "text.png").write_text("<html>")
    out = tmp_path / "out"
    assert predict(photos, model=model_file, out=out) == 6
    assert [name for name in files_below(out) if "mask" in name] == [
        "street.mask.png",
        "trip/hill.mask.png",
    ]
    cut, text, summary = capsys.readouterr().err.splitlines()
    assert cut.startswith(f"error: {photos / 'cut.jpg'}: ")
    assert text.startswith(f"error: {photos / 'text.png'}: ")
    assert summary == (
        f"error: {out / 'failures.jsonl'}: lists what failed, 2 of 4 photographs; "
        "the others are done"
    )
    records = map(json.loads, (out / "failures.jsonl").read_text().splitlines())
    assert [record["path"] for record in records] == [
        str(photos / "cut.jpg"),
        str(photos / "text.png"),
    ]


def test_strict_stops_at_the_first_bad_file(photos, model_file, tmp_path, capsys):
    (photos / "a.jpg").write_bytes(b"")
    assert predict(photos, "--strict", model=model_file, out=tmp_path / "out") == 3
    assert files_below(tmp_path / "out") == ["failures.jsonl"]
    assert capsys.readouterr().err.startswith(f"error: {photos / 'a.jpg'}: is empty")


@pytest.mark.parametrize(
    ("words", "exit_code", "complaint"),
    [
        ([], 2, "no photograph is given"),
        ([""], 2, "no photograph is given"),
        (["nowhere.jpg"], 3, "nowhere.jpg: "),
        (["photos/*.bmp"], 3, "photos/*.bmp: "),
        (["photos", "--format", "mask,geojson"], 2, "format 'geojson' is unknown"),
        (["photos", "--engine", "onnx"], 2, "engine 'onnx' is unknown; perhaps onnxruntime"),
        (["photos", "--precision", "int3"], 2, "precision 'int3' is unknown"),
        (["photos", "--engine", "torch", "--precision", "bf16"], 2, "use engine optimized"),
        (["photos", "--device", "abacus"], 2, "device 'abacus' is unknown"),
        (["photos", "--model", "no-such-model"], 2, "model 'no-such-model'"),
        (["photos", "--model", "nowhere.safetensors"], 3, "nowhere.safetensors: no such file"),
        (["photos", "--model", "photos/street.jpg"], 3, "photos/street.jpg: not a model file"),
        (["photos/street.jpg", "photos/twin/street.jpg"], 3, "both would be written to"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(
    photos, tmp_path, monkeypatch, capsys, words, exit_code, complaint
):
    (photos / "twin").mkdir()
    (photos / "twin" / "street.jpg").write_bytes((photos / "street.jpg").read_bytes())
    before = files_below(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", *words]) == exit_code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert complaint in error
    assert error.count("\n") == 1
    assert files_below(tmp_path) == before


def test_results_are_never_taken_for_photographs(photos, model_file, tmp_path, capsys):
    out = photos / "predictions"
    assert predict(photos, model=model_file, out=out) == 0
    assert predict(photos, model=model_file, out=out) == 3
    assert "is a result of an earlier run" in capsys.readouterr().err


def test_an_out_that_is_a_file_ends_with_5(photos, model_file, tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert predict(photos, model=model_file, out=tmp_path / "out") == 5
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'out'}")
