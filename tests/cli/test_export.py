import os

import torch

from atrous.cli import main


def test_a_model_is_exported_and_the_checks_are_shown(model_file, dataset, tmp_path, capsys):
    out = tmp_path / "small.pt2"
    words = ["export", "--model", model_file, "--to", "torch", "--out", os.fspath(out)]
    assert main([*words, "--data", os.fspath(dataset)]) == 0
    text = capsys.readouterr().out
    for word in ("12 shapes", "equal labels", "as in the model", "(+0.00)", "wrote"):
        assert word in text
    run = torch.export.load(out).module()
    assert run(torch.zeros(1, 20, 30, 3, dtype=torch.uint8)).shape == (1, 20, 30)


def test_errors_are_one_line(model_file, tmp_path, capsys):
    out = os.fspath(tmp_path / "a.onnx")
    words = ["export", "--model", model_file, "--to", "onnx", "--out", out]
    assert main([*words, "--precision", "int8"]) == 2
    assert "give --calibrate DIR, or --data" in capsys.readouterr().err
    assert main([*words, "--precision", "bf16"]) == 2
    assert "precision 'bf16' is not there for onnx" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    calibrate = ["--precision", "int8", "--calibrate", os.fspath(tmp_path / "empty")]
    assert main([*words, *calibrate]) in {2, 3}
    assert len(capsys.readouterr().err.splitlines()) == 1
