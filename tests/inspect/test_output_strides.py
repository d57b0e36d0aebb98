from atrous.inspect.output_strides import stride_rows
from atrous.inspect.table import layer_table
from atrous.models import create_model


def test_each_stride_costs_what_a_network_built_there_costs(model):
    rows = stride_rows(model, (1, 3, 129, 193))
    assert [row.output_stride for row in rows] == [8, 16, 32]
    for row in rows:
        built = create_model(
            "deeplabv3plus",
            backbone="test_resnet",
            num_classes=3,
            channels=8,
            output_stride=row.output_stride,
            rates=row.rates,
        )
        table = layer_table(built, (1, 3, 129, 193))
        assert row.multiply_adds == table.multiply_adds
        assert row.megabytes == sum(layer.megabytes for layer in table.rows)
        assert row.useful == min(tap.useful / tap.taps for tap in table.tap_rows)
    assert model.output_stride == 16
    assert rows[0].multiply_adds > rows[1].multiply_adds > rows[2].multiply_adds


def test_of_several_sizes_of_the_image_its_own_taps_count():
    words = {"backbone": "test_resnet", "num_classes": 2}
    one = create_model("deeplabv2", **words)
    several = create_model("deeplabv2", **words, scales=(0.5, 1.0))
    shares = [stride_rows(model, (1, 3, 129, 129), (8,))[0].useful for model in (one, several)]
    assert shares[0] == shares[1]


def test_strides_that_a_backbone_cannot_have_are_left_out(model):
    assert [row.output_stride for row in stride_rows(model, (1, 3, 65, 65), (16, 5, 64))] == [16]


def test_without_rates_there_is_no_share():
    network = create_model("lraspp", backbone="test_resnet", num_classes=2)
    assert {row.useful for row in stride_rows(network, (1, 3, 65, 65), (16,))} == {None}
