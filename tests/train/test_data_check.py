import numpy as np
import pytest
from PIL import Image

from atrous.errors import DataError, UsageError
from atrous.recipe import load_recipe
from atrous.train.data_check import check_data, plan_of


@pytest.fixture
def folder(tmp_path):
    """A sound data set of two classes, two pictures of 64x64 in each split."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for index in range(2):
            image = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            _write(tmp_path / "images" / split / f"{index}.png", image)
            _write(tmp_path / "masks" / split / f"{index}.png", (image[..., 0] > 127) * 1)
    (tmp_path / "dataset.yaml").write_text("classes: [{name: a, value: 0}, {name: b, value: 1}]")
    return tmp_path


def _write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def _recipe(source, *settings):
    return load_recipe("default", [f"data.source={source}", "model.rates=[1]", *settings])


def test_a_sound_folder_gets_no_word(folder):
    said = []
    check_data(_recipe(folder), said.append)
    assert said == []


def test_what_makes_it_worse_is_said_in_one_line(folder):
    said = []
    check_data(_recipe(folder, "model.rates=[1, 40]"), said.append)
    (line,) = said
    assert "1 warning" in line
    assert "40" in line
    assert f"atrous data check {folder} shows all" in line
    assert "\n" not in line


def test_errors_keep_it_from_starting(folder):
    _write(folder / "masks" / "val" / "1.png", np.full((64, 64), 9))
    (folder / "images" / "train" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2 errors, the first: .*images/train/0\.png") as error:
        check_data(_recipe(folder), print)
    assert "\n" not in str(error.value)
    check_data(_recipe(folder, "data.check=false"), print)


def test_the_meaning_given_in_the_recipe_counts(folder):
    (folder / "dataset.yaml").unlink()
    with pytest.raises(DataError, match="--write writes the"):
        check_data(_recipe(folder), print)
    check_data(_recipe(folder, "data.classes=[a, b]"), print)
    with pytest.raises(DataError, match="values of no class"):
        check_data(_recipe(folder, "data.classes=[a, b=7]"), print)


@pytest.mark.parametrize("source", ["shapes", "absent-folder", "voc=absent-folder"])
def test_what_is_made_up_or_absent_is_left_to_the_training(source):
    check_data(_recipe(source), print)


def _camvid(folder):
    """Lay the pictures out as SegNet's CamVid, where only the names of the classes differ."""
    for split in ("train", "val"):
        (folder / "images" / split).rename(folder / split)
        (folder / "masks" / split).rename(folder / f"{split}annot")
    return f"camvid={folder}"


def test_samples_of_any_other_kind_are_looked_at(folder):
    said, source = [], _camvid(folder)
    check_data(_recipe(source), said.append)
    assert said == []
    check_data(_recipe(source, "model.rates=[1, 40]"), said.append)
    assert said[0].startswith(f"{source}: 1 warning: a crop of 64 x 64 is a map of")
    _write(folder / "valannot" / "1.png", np.full((64, 64), 11))
    check_data(_recipe(source), said.append)
    assert said[1] == (
        f"{source}: 1 warning: 1 sample of those looked at ignored from edge to edge (val/1)"
    )
    _write(folder / "valannot" / "1.png", np.full((64, 64), 77))
    with pytest.raises(DataError, match=r"1 error: 1 sample .* cannot be read .*valannot/1\.png"):
        check_data(_recipe(source), print)
    _write(folder / "valannot" / "1.png", np.full((64, 64), 1))
    (folder / "val" / "1.png").write_bytes((folder / "train" / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"also in another split \(is train/0\); .*check=false"):
        check_data(_recipe(source), print)


def test_the_plan_is_that_of_the_network():
    recipe = load_recipe("default", ["model.output_stride=8", "data.crop_size=[321, 321]"])
    plan = plan_of(recipe)
    assert plan.rates == (12, 24, 36)
    assert (plan.output_stride, plan.crop_size, plan.kernel_size) == (8, (321, 321), 3)
    with pytest.raises(UsageError, match="deeplabv9"):
        plan_of(load_recipe("default", ["model.architecture=deeplabv9"]))


@pytest.mark.parametrize("layout", ["folder", "camvid"])
def test_a_split_that_is_learnt_from_and_measured_on_is_told_of(folder, layout):
    source = folder if layout == "folder" else _camvid(folder)
    said = []
    check_data(_recipe(source, "data.train_split=train+val"), said.append)
    (line,) = said
    assert "1 warning: val is learnt from and measured on; its scores prove nothing" in line
