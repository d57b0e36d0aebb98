import pytest

from atrous.recipe import load_recipe

TINY = (
    "model.architecture=deeplabv3",
    "model.backbone=lcnet_035",
    "model.rates=[1, 2]",
    "data.size=[32, 48]",
    "data.crop_size=[32, 48]",
    "data.workers=0",
    "data.source=shapes",
    "optim.warmup_steps=2",
    "train.batch_size=4",
    "train.device=cpu",
    "train.precision=fp32",
    "train.previews=2",
    "train.validate_every=1",
)


@pytest.fixture
def tiny_recipe():
    """Return a function that makes a recipe of a second or two, with single values changed."""

    def make(*settings):
        return load_recipe("shapes-quick", [*TINY, *settings])

    return make


@pytest.fixture(autouse=True)
def _short_shapes(monkeypatch):
    """Keep the made-up data set small enough to validate on in no time."""
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 24, "val": 6, "test": 6})
