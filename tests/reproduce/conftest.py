import pytest

from atrous.reproduce import Base, Study, Variant

TINY = (
    "model.architecture=deeplabv3",
    "model.backbone=lcnet_035",
    "model.output_stride=16",
    "model.separable=false",
    "model.channels=8",
    "data.size=[32, 48]",
    "data.crop_size=[64, 64]",
    "data.workers=0",
    "optim.warmup_steps=1",
    "train.max_steps=2",
    "train.batch_size=2",
    "train.device=cpu",
    "train.precision=fp32",
    "train.previews=0",
)


@pytest.fixture(autouse=True, scope="module")
def _short_shapes():
    """Keep the made-up data set small enough to score in no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 8, "val": 2, "test": 2})
        yield


@pytest.fixture(scope="session")
def study():
    """Two trainings of a second each, one of them scored at two output strides."""
    base = Base(recipe="shapes-quick", settings=TINY, rate_scale=0.5)
    return Study(
        name="tiny",
        varies="the rate",
        source="arXiv:0000.00000, table 1",
        published_on="nothing",
        variants=(
            Variant(name="near", published=60.0, rates=(2,)),
            Variant(name="far", published=62.5, rates=(6,)),
            Variant(name="far-dense", published=63.0, weights_of="far", denser=2),
        ),
        folder=base,
        shapes=base,
    )
