import json

import pytest
from pydantic import ValidationError

from atrous.models import Blueprint, Conventions, build

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


# All that shapes a network and has come later.
MORE = {
    "pyramid": "dpc",
    "rates": ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21)),
    "multi_grid": (1.0, 2.0),
    "kernel_size": 7,
    "channels": 32,
    "shared_kernel": True,
    "image_pooling": False,
    "aux_head": True,
    "scales": (0.5, 1.0),
    "conventions": Conventions(align_corners=True, aux_stride=8),
}


@pytest.mark.parametrize("more", [{}, MORE])
def test_it_survives_being_written_and_read(more):
    blueprint = Blueprint(**NUMBERS | more)
    again = Blueprint.model_validate_json(blueprint.model_dump_json())
    assert again == blueprint
    assert again.rates == (more or NUMBERS)["rates"]  # tuples, pairs too


def test_the_first_model_files_are_the_networks_they_were():
    # The JSON of a file that knew nothing but the first numbers.
    blueprint = Blueprint.model_validate_json(json.dumps(NUMBERS))
    assert blueprint == Blueprint(
        **NUMBERS,
        pyramid="aspp",
        multi_grid=None,
        kernel_size=3,
        channels=None,
        shared_kernel=False,
        image_pooling=True,
        aux_head=False,
        scales=(1.0,),
        conventions=Conventions(),
    )
    model = build(blueprint)
    assert model.pyramid.rates == (6, 12, 18)
    assert model.pyramid.out_channels == 256
    assert model.auxiliary is None
    assert not any(name.startswith("head.") for name in model.state_dict())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_classes", 0),
        ("num_classes", 65536),
        ("num_classes", None),
        ("rates", (0,)),
        ("rates", ((6, 0),)),
        ("rates", ((6, 6, 6),)),
        ("rates", (6, 65536)),
        ("rates", range(1, 66)),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("in_channels", 0),
        ("backbone", 3),
        ("multi_grid", (0,)),
        ("kernel_size", 0),
        ("kernel_size", 16),
        ("channels", 0),
        ("scales", ()),
        ("scales", (0.0,)),
        ("scales", (1.0, 8.0)),
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
