import json

import pytest

from atrous.cli import main
from atrous.models import create_model
from atrous.nn.geometry import useful_taps
from atrous.weights import load_model, save_model

ASPP = ["inspect", "aspp", "--in-channels", "512", "--num-classes", "19", "--size", "64x128"]


def shown(capsys, *words):
    """What `atrous WORDS` prints, in blocks of lines."""
    assert main(list(words)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return [block.splitlines() for block in output.out.rstrip("\n").split("\n\n")]


def test_the_layers_of_a_module(capsys):
    title, layers, totals, memory, *_ = shown(capsys, *ASPP)
    assert title == ["aspp, rates 6, 12, 18", "on a map of 512 channels and 64 x 128 cells"]
    assert layers[0].split() == ["layer", "kind", "output", "parameters", "MAdds", "MB"]
    assert len(layers) == 1 + 14
    assert layers[-1].split(maxsplit=3)[:3] == ["classifier", "Conv2d", "1x1"]
    assert layers[-1].split()[3:] == ["19x64x128", "4,883", "39.8M", "0.6"]
    assert totals == [
        "parameters     4,138,259, all trainable",
        "multiply-adds  32,789,102,592",
        "output         (1, 19, 64, 128)",
    ]
    assert [line.rsplit(maxsplit=1) for line in memory[1:]] == [
        ["  input", "16.00"],
        ["  forward and backward", "161.20"],
        ["  parameters", "15.79"],
        ["  total", "192.98"],
    ]


def test_the_branches_and_their_taps_inside_the_map(capsys):
    (title, head, *lines), sizes = shown(capsys, *ASPP)[-2:]
    assert "64 x 128 cells" in title
    assert head.split() == ["branch", "useful", "taps", "reach", "theoretical"]
    assert lines[0].split() == ["1x1", "1"]
    for rate, line in zip((6, 12, 18), lines[1:], strict=False):
        useful = f"{100 * useful_taps(rate, 64, 128) / 9:.1f}"
        assert line.split() == ["rate", f"{rate}", useful, "%", f"{2 * rate}", f"{2 * rate + 1}"]
    assert lines[4].split() == ["image", "whole", "image"]
    assert sizes[0].startswith("Below 19 cells along a side, the widest kernel is left with")


@pytest.mark.parametrize("rates", [["1", "2", "300"], ["1,2,300"], ["1,2", "300"]])
def test_rates_stand_apart_or_behind_commas(capsys, rates):
    title, layers, *_, taps, warning, sizes = shown(capsys, *ASPP, "--rates", *rates)
    assert title[0] == "aspp, rates 1, 2, 300"
    assert sum("Conv2d 3x3" in line for line in layers) == 3
    assert taps[-2].split() == ["rate", "300", "11.1", "%", "600", "601"]
    assert "on a map of 64x128 cells rate 300 is a plain 1x1 convolution;" in warning[0]
    assert sizes[0].startswith("Below 301 cells")


def test_without_classifier_and_bias(capsys):
    words = ["inspect", "aspp", "--in-channels", "8", "--out-channels", "4", "--no-bias"]
    _, layers, totals, *_ = shown(capsys, *words, "--rates", "1")
    weights = 8 * 4 * (1 + 9 + 1) + 3 * 4 * 4  # point, atrous, image; project
    assert totals[0] == f"parameters     {weights + 2 * 4 * 4}, all trainable"
    assert totals[2].endswith("(1, 4, 65, 65)")
    assert "classifier" not in layers[-1]


def test_the_layers_of_a_model_stand_under_its_parts(capsys):
    shown_blocks = shown(capsys, "inspect", "camvid-lite0", "--size", "360x480")
    title, layers, totals, _, taps, warning, sizes, strides = shown_blocks
    model = load_model("camvid-lite0")
    assert title == [
        "camvid-lite0: deeplabv3plus, efficientnet_lite0, output stride 16",
        "on an image of 360 x 480 pixels",
    ]
    for part in ("backbone", "pyramid", "decoder", "classifier"):
        line = next(line for line in layers if line.startswith(part))
        weights = sum(weight.numel() for weight in getattr(model, part).parameters())
        assert f" {weights:,} " in line
    assert "  conv_stem" in layers[2]
    assert totals[2] == "output         (1, 11, 360, 480)"
    assert "23 x 30 cells" in taps[0]  # 360 and 480 pixels at stride 16
    assert "rates 3, 6, 9 suit this map" in warning[0]
    assert "from 577 on" in sizes[0]
    assert [line.split()[0] for line in strides[2:]] == ["8", "16", "32"]
    assert max(map(len, layers)) <= 80


def test_a_model_file_too(capsys, model_file):
    title, _, totals, *_ = shown(capsys, "inspect", model_file)
    assert title[0].endswith("small.safetensors: deeplabv3, test_efficientnet, output stride 16")
    assert totals[2] == "output         (1, 3, 513, 513)"


def test_fields_are_measured_when_it_is_asked_for(capsys, model_file):
    *_, branches, warning, _, _ = shown(capsys, "inspect", model_file, "--size", "65x65", "--field")
    assert branches[1].split()[-1] == "effective"
    assert branches[2].split()[0] == "1x1"
    assert int(branches[2].split()[-1]) > 0
    assert warning[0].startswith("warning: ")


def test_a_photograph_and_a_page(capsys, model_file, photos, tmp_path):
    photo, page = str(photos / "street.jpg"), tmp_path / "page.html"
    *_, seen, written = shown(capsys, "inspect", model_file, "--photo", photo, "--html", str(page))
    assert seen[0] == "the photograph"
    assert any(line.split()[:5] == ["labels", "that", "change", "without", "1x1"] for line in seen)
    assert written == [str(page)]
    assert "<h2>Photograph</h2>" in page.read_text()


def test_a_photograph_is_nothing_for_a_model_of_other_channels(capsys, photos, tmp_path):
    model = create_model("deeplabv3", backbone="test_resnet", num_classes=2, in_channels=4)
    file = save_model(model, tmp_path / "four.safetensors")
    assert main(["inspect", str(file), "--photo", str(photos / "street.jpg")]) == 2
    assert "a photograph has 3 channels, and" in capsys.readouterr().err


def test_a_graph_by_itself(capsys, tmp_path):
    file = tmp_path / "aspp.svg"
    assert main([*ASPP, "--graph", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(file)
    assert file.read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg" width="')
    assert "image pooling" in file.read_text()


def test_a_page_about_a_module(capsys, tmp_path):
    page = tmp_path / "page.html"
    assert main([*ASPP, "--json", "--html", str(page)]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["branches"]["rows"][1]["name"] == "rate 6"
    assert output.err.strip() == str(page)
    assert "<h2>Pyramid</h2>" in page.read_text()


def test_json_holds_the_same(capsys):
    assert main([*ASPP, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["rows"]) == 14
    assert content["rows"][-1] == {
        "name": "classifier",
        "kind": "Conv2d 1x1",
        "output_shape": [1, 19, 64, 128],
        "parameters": 4883,
        "multiply_adds": 19 * 256 * 64 * 128,
        "megabytes": 19 * 64 * 128 * 4 / 2**20,
    }
    assert content["input_shape"] == [1, 512, 64, 128]
    assert content["parameters"] == content["trainable"] == 4_138_259
    assert round(content["megabytes"]["total"], 2) == 192.98
    assert content["tap_rows"] == [
        {
            "rate": [rate, rate],
            "map_size": [64, 128],
            "taps": 9,
            "useful": useful_taps(rate, 64, 128),
        }
        for rate in (6, 12, 18)
    ]


def test_the_largest_numbers_pass(capsys):
    words = ["--size", "65535x65535", "--in-channels", "65535", "--out-channels", "65535"]
    blocks = shown(capsys, "inspect", "aspp", *words, "--rates", "65535")
    totals, taps = blocks[2], blocks[4]
    assert totals[2] == "output         (1, 65535, 65535, 65535)"
    assert taps[3].split() == ["rate", "65535", "11.1", "%", "131070", "131071"]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(capsys, monkeypatch, width):
    monkeypatch.setattr("atrous.cli.console._WIDTH_OF_A_PIPE", width)
    blocks = shown(capsys, *ASPP)
    tables = blocks[1:-1]  # sentences are left to the terminal
    assert max(len(line) for block in tables for line in block) <= width
    assert sum(" 1,179,904 " in line for line in blocks[1]) == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name what to look at: aspp, camvid-lite0, a model file"),
        (["aspp", "--photo", "a.jpg"], "--photo needs a model; aspp has no weights"),
        ([".", "--rates", "6"], "--rates is for a module or a model, not for a run"),
        (["nosuch"], "target 'nosuch' is unknown; use aspp, camvid-lite0, a model file"),
        (
            ["aspp", "--size", "64"],
            "--size expects rows x columns from 1 to 65535, such as 64x128, got '64'",
        ),
        (
            ["aspp", "--size", "0x9"],
            "--size expects rows x columns from 1 to 65535, such as 64x128, got '0x9'",
        ),
        (["aspp", "--size", "1x2x3"], "--size expects rows x columns"),
        (["aspp", "--rates", "6", "0"], "--rates expects whole numbers from 1 to 65535, such as"),
        (["aspp", "--rates", ","], "--rates expects whole numbers from 1 to 65535, such as"),
        (["aspp", "--rates", "65536"], "--rates expects whole numbers from 1 to 65535"),
        (["aspp", "--num-classes", "0"], "--num-classes must be from 1 to 65535, got 0"),
        (["aspp", "--in-channels", "65536"], "--in-channels must be from 1 to 65535, got 65536"),
        (["aspp", "--size", "65536x9"], "--size expects rows x columns"),
        (["camvid-lite0", "--no-bias"], "--no-bias builds a module; camvid-lite0 is built already"),
        (["camvid-lite0", "--num-classes", "3"], "--num-classes builds a module"),
    ],
)
def test_what_has_no_meaning_ends_with_2_and_one_line(capsys, words, complaint):
    assert main(["inspect", *words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {complaint}")
    assert output.err.count("\n") == 1


def test_a_file_that_is_missing_ends_with_3(capsys):
    assert main(["inspect", "missing.safetensors"]) == 3
    assert "missing.safetensors: no such file" in capsys.readouterr().err
