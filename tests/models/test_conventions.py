import pytest
from pydantic import ValidationError

from atrous.errors import UsageError
from atrous.models import Conventions, create_model
from atrous.weights.peers import huggingface, torchvision


def test_the_defaults_are_the_papers():
    conventions = Conventions()
    assert not conventions.align_corners
    assert not conventions.dilate_first_block
    assert conventions.head_convs == 0  # arXiv:1706.05587, figure 5
    assert conventions.decoder_convs == 2  # arXiv:1802.02611, table 2
    assert conventions.decoder_kernel == 3
    assert conventions.projection_kernel == 1
    assert conventions.norm_eps is None


def test_they_survive_being_written_and_read():
    extra = Conventions(extra_rates=(("layer3.1", 2),))
    for conventions in (Conventions(), torchvision.MOBILENET, huggingface.MOBILEVIT, extra):
        assert Conventions.model_validate_json(conventions.model_dump_json()) == conventions


def test_those_of_older_files_are_completed():
    assert Conventions.model_validate_json('{"head_convs": 1}') == Conventions(head_convs=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("between", "relu"),
        ("head_convs", -1),
        ("head_convs", 9),
        ("decoder_convs", 0),
        ("early_maps", "middle"),
        ("aux_stride", 4),
        ("norm_eps", 0.0),
        ("norm_eps", 1.0),
        ("tf_padding_side", 16),
        ("extra_rates", (("layer3.0", 1),)),
        ("undilated", "layer3"),
        ("last_conv", -1),
        ("padding", "same"),
    ],
)
def test_what_no_library_has_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Conventions(**{name: value})
    with pytest.raises(UsageError, match=f"conventions.{name}"):
        create_model("deeplabv3", backbone="test_resnet", num_classes=2, conventions={name: value})


def test_they_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Conventions().head_convs = 1


def test_a_mapping_does_as_well():
    model = create_model(
        "deeplabv3", backbone="test_resnet", num_classes=2, conventions={"head_convs": 1}
    )
    assert model.blueprint.conventions == Conventions(head_convs=1)
