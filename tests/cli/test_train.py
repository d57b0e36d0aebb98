import signal

import numpy as np
import pytest
from PIL import Image

from atrous.cli.main import main

TINY = [
    *("--recipe", "shapes-quick"),
    *("--set", "model.architecture=deeplabv3", "--set", "model.backbone=lcnet_035"),
    *("--set", "data.workers=0", "--set", "train.batch_size=2", "--set", "train.max_steps=2"),
    *("--set", "data.size=null", "--set", "data.crop_size=null", "--set", "train.previews=1"),
]


_UNCHECKED = ("--set", "data.check=false")


@pytest.fixture
def folder(tmp_path):
    """A data set of two classes, four images of 32x48 in each split."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for index in range(4):
            image = random.integers(0, 256, (32, 48, 3), dtype=np.uint8)
            _write(tmp_path / "data" / "images" / split / f"{index}.png", image)
            _write(tmp_path / "data" / "masks" / split / f"{index}.png", (image[..., 0] > 127) * 1)
    (tmp_path / "data" / "dataset.yaml").write_text(
        "name: two\nclasses:\n- {name: dark, value: 0}\n- {name: bright, value: 1}\n"
    )
    return tmp_path / "data"


def _write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def _train(folder, *words):
    return main(
        ["train", "--data", str(folder), *TINY, "--out", str(folder.parent / "run"), *words]
    )


def test_a_folder_becomes_a_model_that_predicts(folder, capsys):
    assert _train(folder) == 0
    model = folder.parent / "run" / "best.safetensors"
    said = capsys.readouterr().out
    assert f"wrote {model}" in said
    assert "bright" in said
    photo = folder / "images" / "val" / "0.png"
    out = folder.parent / "out"
    assert main(["predict", str(photo), "--model", str(model), "--out", str(out)]) == 0
    with Image.open(out / "0.mask.png") as mask:
        assert mask.size == (48, 32)
    assert main(["evaluate", "--model", str(model), "--data", str(folder), "--out", str(out)]) == 0


def test_a_learning_rate_is_suggested_and_nothing_is_kept(folder, capsys):
    assert _train(folder, "--find-lr") == 0
    said = capsys.readouterr().out
    assert "1.0e-06" in said
    assert "--set optim.lr=" in said
    assert not (folder.parent / "run").exists()


def test_classes_on_the_command_line_do_without_a_dataset_yaml(folder):
    (folder / "dataset.yaml").unlink()
    assert _train(folder) == 3
    assert _train(folder, "--classes", "dark", "bright=1#ffffff", "--out", f"{folder}-run") == 0


def test_a_run_goes_by_its_recipe_when_no_name_is_given(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--data", str(folder), *TINY]) == 0
    assert (tmp_path / "runs" / "shapes-quick" / "best.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "train.max_step=2"], 2, "did you mean train.max_steps?"),
        (["--recipe", "shapes-quik"], 2, "use shapes-quick"),
        (["--set", "data.val_split=test"], 3, "test"),
        (["--set", "model.backbone=resnet5O"], 2, "did you mean resnet50"),
        (["--set", "model.architecture=deeplabv4"], 2, "did you mean|use deeplabv3"),
        (["--device", "cuda:9"], 2, "cuda:9"),
    ],
)
def test_wrong_words_get_one_line_and_the_code(folder, capsys, words, code, said):
    assert _train(folder, *words) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert any(part in error for part in said.split("|"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "give --data DIR"),
        (["--resume"], 2, "--resume needs the run"),
        (["--resume", "--out", "absent"], 3, "no run to resume"),
        (["--resume", "--out", "a", "--recipe", "camvid-lite0"], 2, "keeps its recipe"),
    ],
)
def test_what_is_needed_is_said(capsys, words, code, said):
    assert main(["train", *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_mask_is_named_with_value_and_count(folder, capsys, workers):
    for index in range(4):
        _write(folder / "masks" / "train" / f"{index}.png", np.full((32, 48), 7))
    assert _train(folder, *_UNCHECKED, "--set", f"data.workers={workers}") == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "masks/train/" in error
    assert "7" in error
    assert "1,536" in error or "1536" in error


def test_a_mask_of_another_size_is_named(folder, capsys):
    for index in range(4):
        _write(folder / "masks" / "train" / f"{index}.png", np.zeros((32, 40)))
    assert _train(folder, *_UNCHECKED) == 3
    assert "40" in capsys.readouterr().err.strip().splitlines()[-1]


def test_ctrl_c_saves_and_says_how_to_go_on(folder, capsys, monkeypatch):
    from atrous.train.progress import ConsoleProgress

    def stop(self, step):
        if step == 1:  # once: a later signal would end this process
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "step", stop)
        assert _train(folder) == 130
    run = folder.parent / "run"
    assert f"atrous train --resume --out {run}" in capsys.readouterr().out
    assert main(["train", "--resume", "--out", str(run)]) == 0
    assert (run / "best.safetensors").is_file()


def test_a_resumed_run_may_change_what_decides_no_weight(folder, capsys):
    assert _train(folder) == 0
    moved, run = folder.with_name("moved"), folder.parent / "run"
    folder.rename(moved)
    again = ["train", "--resume", "--out", str(run), "--data", str(moved)]
    assert main([*again, "--set", "optim.lr=1"]) == 2
    assert "optim.lr was 0.004 and is now 1.0" in capsys.readouterr().err
    assert main([*again, "--set", "train.keep_checkpoints=1"]) == 0
    assert f"source: {moved}" in (run / "recipe.yaml").read_text()


def test_masks_of_0_and_255_train_after_one_accepted_suggestion(folder, capsys):
    (folder / "dataset.yaml").unlink()
    for mask in (folder / "masks").rglob("*.png"):
        with Image.open(mask) as picture:
            pixels = 255 * np.asarray(picture)
        _write(mask, pixels)
    assert _train(folder) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"atrous data check {folder}" in error
    assert "--write" in error
    assert main(["data", "check", str(folder), "--write"]) == 0
    assert _train(folder) == 0
    assert "foreground" in capsys.readouterr().out


def test_what_the_doctor_finds_keeps_a_training_from_starting(folder, capsys):
    picture = folder / "images" / "train" / "0.png"
    (folder / "images" / "val" / "0.png").write_bytes(picture.read_bytes())
    assert _train(folder) == 3
    assert "data.check=false" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list(folder.parent.glob("run/*"))
    assert _train(folder, *_UNCHECKED) == 0
