import signal

import pytest

from atrous.cli.main import main
from atrous.train.progress import ConsoleProgress

TINY = [
    *("--set", "model.backbone=lcnet_035", "--set", "model.channels=8", "--set", "data.workers=0"),
    *("--set", "data.size=[32,48]", "--set", "data.crop_size=[64,64]", "--set", "train.previews=0"),
    *("--set", "train.max_steps=2", "--set", "train.batch_size=2", "--device", "cpu"),
]


@pytest.fixture(autouse=True)
def _short_shapes(monkeypatch):
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 8, "val": 2, "test": 2})


def _reproduce(out, *words):
    command = ["reproduce", "output-stride", "--data", "shapes", *TINY, "--out", str(out)]
    return main([*command, "--seeds", "1", *words])


def test_a_stopped_study_goes_on_by_the_same_command(tmp_path, capsys, monkeypatch):
    step = ConsoleProgress.step

    def stop(self, number):
        step(self, number)
        if number == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "step", stop)
        assert _reproduce(tmp_path) == 128 + signal.SIGINT
    assert "the same command goes on" in capsys.readouterr().out
    assert not (tmp_path / "table.md").exists()

    assert _reproduce(tmp_path) == 0
    said = capsys.readouterr().out
    assert "arXiv:1706.05587, table 6" in said
    for words in (["as-trained", "77.21"], ["twice-as-dense", "78.51", "+1.30"]):
        (line,) = [line for line in said.splitlines() if line.startswith(words[0])]
        assert line.split()[: len(words)] == words
    for name in ("table.md", "table.json", "table.svg"):
        assert str(tmp_path / name) in said

    assert _reproduce(tmp_path) == 0
    said = capsys.readouterr()
    assert f"run 1 of 1: {tmp_path / 'as-trained' / 'seed-0'}, kept" in said.err
    assert _reproduce(tmp_path, "--set", "train.max_steps=3") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "train.max_steps was 2 and is now 3" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["output-strides", "--data", "shapes"], "use output-stride"),
        (["output-stride", "--data", "shapes", "--variants", "as-traned"], "use as-trained"),
        (["output-stride", "--data", "shapes", "--seeds", "0"], "at least one training"),
        (["output-stride", "--data", "shapes", "--set", "train.seed=1"], "--seeds counts them"),
        (
            ["large-fov-vs-aspp", "--data", "x", "--set", "data.crop_size=[180,240]"],
            "rate 24, which leaves a map of 23 x 30 cells",
        ),
    ],
)
def test_wrong_words_get_one_line(capsys, words, said):
    assert main(["reproduce", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert said in error


def test_the_help_names_every_study(capsys):
    from atrous.reproduce import STUDIES

    assert main(["reproduce", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in STUDIES if name not in said] == []
