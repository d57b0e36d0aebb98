import pytest

from atrous.errors import RecipeError
from atrous.recipe import Recipe, load_recipe, recipe_names, recipe_text


def test_settings_change_single_values():
    recipe = load_recipe("default", ["optim.lr=0.01", "data.scale=[0.5, 1]", "name=mine"])
    assert recipe.optim.lr == 0.01
    assert recipe.data.scale == (0.5, 1.0)
    assert recipe.name == "mine"


def test_the_length_said_last_is_the_length():
    assert load_recipe("default").train.epochs == 20
    by_steps = load_recipe("default", ["train.max_steps=60"]).train
    assert (by_steps.epochs, by_steps.max_steps) == (None, 60)
    by_epochs = load_recipe("default", ["train.max_steps=60", "train.epochs=2"]).train
    assert (by_epochs.epochs, by_epochs.max_steps) == (2, None)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.max_step=6", "unknown key train.max_step; did you mean train.max_steps?"),
        ("optimm.lr=1", "unknown key optimm; did you mean optim?"),
        ("train.batch_size=0", "train.batch_size: should be greater than 0"),
        ("train.batch_size=many", "train.batch_size: should be a valid integer"),
        ("data.flip=1.5", "data.flip: should be less than or equal to 1"),
        ("model.output_stride=7", "model.output_stride"),
        ("model.rates=[0]", "model.rates.0: should be greater than 0"),
        ("optim.name=adam", "optim.name: should be 'sgd' or 'adamw'"),
        ("optim.lr=-1", "optim.lr: should be greater than 0"),
        ("train.epochs=null", "give one of epochs and max_steps"),
        ("lr=1", "expected section.key=value"),
        ("train.max_steps", "expected section.key=value"),
        ("train.max_steps=[", "not YAML"),
        ("train=5", "train"),
        ("loss.dise=1", "unknown key loss.dise; did you mean loss.dice?"),
        ("loss.cross_entropy=0", "give one of cross_entropy, dice, lovasz and focal a weight"),
        ("loss.dice=-1", "loss.dice: should be greater than or equal to 0"),
        ("loss.ohem_fraction=0", "loss.ohem_fraction: should be greater than 0"),
        ("loss.label_smoothing=2", "loss.label_smoothing: should be less than or equal to 1"),
        ("train.ema_decay=1", "train.ema_decay: should be less than 1"),
        ("train.accumulate_steps=0", "train.accumulate_steps: should be greater than 0"),
        ("train.patience=0", "train.patience: should be greater than 0"),
        (
            "train.second_stage={from_fractoin: 1}",
            "unknown key train.second_stage.from_fractoin; did you mean "
            "train.second_stage.from_fraction?",
        ),
        ("train.second_stage={output_stride: 7}", "train.second_stage.output_stride"),
        ("optim.gamma=0", "optim.gamma: should be greater than 0"),
        ("optim.head=last", "optim.head: should be 'all' or 'last_layer'"),
        ("train.batch_norm_momentum=2", "train.batch_norm_momentum: should be less than or equal"),
        ("name.x=1", "name has no keys; set it as a whole"),
        ("expected=[{mean_iuo: 1}]", "expected.0.mean_iou"),
        ("expected.source=x", "expected: should be a valid tuple"),
    ],
)
def test_a_wrong_setting_is_named(setting, said):
    with pytest.raises(RecipeError) as error:
        load_recipe("default", [setting])
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="use camvid-lite0"):
        load_recipe("camvid-lite")


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "just words", "a: [1", "x: !!python/object:os.x {}"]
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=r"mine\.yaml"):
        load_recipe(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"absent\.yaml: cannot be read"):
        load_recipe(tmp_path / "absent.yaml")


def test_an_empty_file_is_the_defaults(tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    assert load_recipe(file) == Recipe()


@pytest.mark.parametrize("name", recipe_names())
def test_the_text_of_a_shipped_recipe_is_the_recipe(name, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(recipe_text(name))
    assert load_recipe(file) == load_recipe(name)
    with pytest.raises(RecipeError, match=f"is no file and no name; use .*{name}"):
        recipe_text(name[:-1])
