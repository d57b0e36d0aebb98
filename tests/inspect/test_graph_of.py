import pytest

from atrous.inspect.graph_of import graph_of
from atrous.inspect.table import layer_table
from atrous.models import create_model
from atrous.nn import ASPP


def graph(architecture, **keywords):
    keywords = {"backbone": "test_resnet", "num_classes": 3, **keywords}
    model = create_model(architecture, **keywords)
    return graph_of(model, layer_table(model, (1, 3, 65, 97)))


def names(boxes):
    return [box.name for box in boxes]


def test_v3_plus_goes_from_the_image_to_its_logits():
    found = graph("deeplabv3plus", channels=8)
    assert names(found.before) == ["image", "test_resnet"]
    assert names(found.branches) == ["1x1", "rate 6", "rate 12", "rate 18", "image pooling"]
    assert names(found.after) == ["concatenation", "projection", "decoder", "classifier", "output"]
    assert (found.after[0].note, found.after[1].note) == ("40 ch", "8 ch")
    assert found.after[-1].note == "3 x 65 x 97"
    assert found.skip == (1, 2)


@pytest.mark.parametrize(
    ("architecture", "keywords", "after"),
    [
        ("deeplabv3", {}, ["concatenation", "projection", "classifier", "output"]),
        (
            "deeplabv3",
            {"conventions": {"head_convs": 1}},
            ["concatenation", "projection", "head", "classifier", "output"],
        ),
        ("deeplabv3", {"pyramid": "cascade"}, ["classifier", "output"]),
        ("deeplabv2", {}, ["sum", "output"]),
        ("deeplabv1", {}, ["output"]),
        ("lraspp", {"backbone": "test_resnet"}, ["LRASPP", "output"]),
    ],
)
def test_other_networks_end_in_their_own_way(architecture, keywords, after):
    assert names(graph(architecture, **keywords).after) == after


def test_the_blocks_of_a_cascade_stand_in_line():
    found = graph("deeplabv3", pyramid="cascade")
    assert names(found.before) == ["image", "test_resnet", "rate 4", "rate 8", "rate 16"]
    assert found.branches == []


def test_steps_of_a_waterfall_read_one_another():
    found = graph("deeplabv3", pyramid="wasp", channels=8)
    assert [box.reads for box in found.branches] == [0, 1, 2, 3, 0]


def test_a_pyramid_by_itself_reads_a_map():
    pyramid = ASPP(8, 4, rates=(6,))
    found = graph_of(pyramid, layer_table(pyramid, (1, 8, 9, 9)))
    assert names(found.before) == ["map"]
    assert found.skip is None
