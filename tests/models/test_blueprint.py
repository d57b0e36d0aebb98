import pytest
from pydantic import ValidationError

from atrous.models import Blueprint

NUMBERS = {
    "architecture": "deeplabv3",
    "backbone": "resnet18",
    "num_classes": 3,
    "output_stride": 16,
    "rates": (6, 12, 18),
    "separable": False,
    "separable_decoder": False,
    "dropout": 0.1,
    "in_channels": 3,
}


def test_it_survives_being_written_and_read():
    blueprint = Blueprint(**NUMBERS)
    assert Blueprint.model_validate_json(blueprint.model_dump_json()) == blueprint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_classes", 0),
        ("num_classes", 65536),
        ("num_classes", None),
        ("rates", ()),
        ("rates", (0,)),
        ("rates", (6, 65536)),
        ("rates", range(1, 66)),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("in_channels", 0),
        ("backbone", 3),
    ],
)
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Blueprint(**NUMBERS | {name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_must_be_given(name):
    with pytest.raises(ValidationError, match=name):
        Blueprint(**{key: value for key, value in NUMBERS.items() if key != name})


def test_nothing_else_may_be_given():
    with pytest.raises(ValidationError, match="_target_"):
        Blueprint(**NUMBERS, _target_="os.system")


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Blueprint(**NUMBERS).num_classes = 4
