import dataclasses
import json

import pytest
import torch
from torch import nn

from atrous.inspect import LayerRow, TapRow, layer_table
from atrous.models import create_model
from atrous.nn import ASPP
from atrous.nn.geometry import useful_taps
from atrous.nn.pyramid import Pyramid


def test_the_worked_example():
    # 19 classes at stride 16 of a 1024x2048 image; every number follows from the shapes.
    pyramid = ASPP(512, 256, rates=(6, 12, 18), num_classes=19, bias=True)
    table = layer_table(pyramid, (1, 512, 64, 128))
    wide = (1, 256, 64, 128)
    assert sorted((row.kind, row.output_shape, row.parameters) for row in table.rows) == sorted(
        [
            ("GlobalMean", (1, 512, 1, 1), 0),
            ("Conv2d 1x1", (1, 256, 1, 1), 131_328),
            ("BatchNorm2d", (1, 256, 1, 1), 512),
            ("Conv2d 1x1", wide, 131_328),
            *(("Conv2d 3x3 rate " + rate, wide, 1_179_904) for rate in ("6", "12", "18")),
            ("Conv2d 1x1", wide, 327_936),
            *[("BatchNorm2d", wide, 512)] * 5,
            ("Conv2d 1x1", (1, 19, 64, 128), 4_883),
        ]
    )
    assert table.rows[-1].name == "classifier"
    assert table.output_shape == (1, 19, 64, 128)
    assert (table.parameters, table.trainable) == (4_138_259, 4_138_259)
    assert {part: round(megabytes, 2) for part, megabytes in table.megabytes.items()} == {
        "input": 16.00,
        "forward_and_backward": 161.20,
        "parameters": 15.79,
        "total": 192.98,
    }


def test_rows_follow_the_computation_not_the_order_of_the_parts():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Conv2d(4, 2, 1)
            self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(x))

    table = layer_table(Backwards(), (2, 3, 5, 7))
    assert table.rows == (
        LayerRow("first.0", "Conv2d 3x3", (2, 4, 5, 7), 4 * 3 * 9 + 4, 2 * 4 * 35 * 27),
        LayerRow("last", "Conv2d 1x1", (2, 2, 5, 7), 2 * 4 + 2, 2 * 2 * 35 * 4),
    )


@pytest.mark.parametrize(
    ("conv", "kind"),
    [
        (nn.Conv2d(3, 4, 1), "Conv2d 1x1"),
        (nn.Conv2d(3, 4, 1, dilation=2), "Conv2d 1x1"),
        (nn.Conv2d(3, 4, 3, 2), "Conv2d 3x3 stride 2"),
        (nn.Conv2d(3, 4, (3, 5), (2, 1), dilation=(4, 2)), "Conv2d 3x5 stride 2x1 rate 4x2"),
    ],
)
def test_the_kind_tells_how_a_convolution_moves(conv, kind):
    (row,) = layer_table(conv, (1, 3, 30, 30)).rows
    assert row.kind == kind


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.ReLU6(),
        nn.GELU(),
        nn.Dropout(),
        nn.Dropout2d(),
        nn.Identity(),
        nn.Sequential(),
    ],
)
def test_what_only_changes_values_is_no_row(layer):
    (row,) = layer_table(nn.Sequential(layer, nn.MaxPool2d(2)), (1, 3, 8, 8)).rows
    assert (row.kind, row.output_shape, row.parameters) == ("MaxPool2d", (1, 3, 4, 4), 0)


def test_a_layer_that_computes_twice_counts_its_parameters_once():
    conv = nn.Conv2d(3, 3, 1)
    table = layer_table(nn.Sequential(conv, conv), (1, 3, 2, 2))
    assert [row.parameters for row in table.rows] == [12, 0]
    assert table.parameters == 12


class Grid(Pyramid):
    """A pyramid that computes nothing, of any kernel."""

    def __init__(self, rates, *, kernel_size=3, multi_grid=(1,), takes_pairs=False):
        self.kernel_size, self.multi_grid, self.takes_pairs = kernel_size, multi_grid, takes_pairs
        super().__init__(rates)

    def _apply_rates(self, rates):
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("pyramid", "rates"),
    [
        (Grid((2, 300)), [(2, 2), (300, 300)]),
        (Grid((2, 4), kernel_size=5), [(2, 2), (4, 4)]),
        (Grid((4,), multi_grid=(1, 2)), [(4, 4), (8, 8)]),
        (Grid([(1, 6)], takes_pairs=True), [(1, 6)]),
        (Grid((4,), kernel_size=4), []),
    ],
)
def test_taps_are_counted_on_the_map_of_each_pyramid(pyramid, rates):
    kernel_size = pyramid.kernel_size
    table = layer_table(nn.Sequential(nn.MaxPool2d(2), pyramid), (1, 3, 20, 36))
    assert table.tap_rows == tuple(
        TapRow(rate, (10, 18), kernel_size**2, useful_taps(rate, 10, 18, kernel_size))
        for rate in rates
    )


def test_frozen_weights_are_not_trainable():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 5, 1, bias=False))
    network[0].requires_grad_(False)
    table = layer_table(network, (1, 3, 2, 2))
    assert (table.parameters, table.trainable) == (12 + 20, 20)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_as_it_is(training):
    network = ASPP(5, 4, rates=(1,)).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layer_table(network, (1, 5, 9, 9))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(module.training is training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert not network._has_warned


def test_a_map_may_be_larger_than_any_memory():
    table = layer_table(ASPP(5, 4, rates=(1,)), (1, 5, 10**6, 10**6))
    assert table.output_shape == (1, 4, 10**6, 10**6)


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_the_rows_of_a_whole_network_hold_all_its_parameters(backbone):
    model = create_model("deeplabv3", backbone=backbone, num_classes=3)
    table = layer_table(model, (2, 3, 65, 97))
    assert table.output_shape == (2, 3, 65, 97)
    assert sum(row.parameters for row in table.rows) == table.parameters
    assert table.parameters == sum(weight.numel() for weight in model.parameters())


def test_its_json_is_the_table():
    table = layer_table(nn.Conv2d(3, 4, 1), (1, 3, 2, 2))
    content = json.loads(json.dumps(table.to_json()))
    assert content.pop("megabytes") == table.megabytes
    assert [row.pop("megabytes") for row in content["rows"]] == [4 * 4 * 2 * 2 / 2**20]
    assert content == json.loads(json.dumps(dataclasses.asdict(table)))


def test_the_multiply_adds_of_a_pyramid_are_those_of_its_shapes():
    # 53 x 53 cells of stride 8, as many as 417 pixels have.
    table = layer_table(ASPP(2048, 256, rates=(12, 24, 36)), (1, 2048, 53, 53))
    cells = 53 * 53
    wide = [row.multiply_adds for row in table.rows if row.kind.startswith("Conv2d 3x3")]
    assert wide == [2048 * 256 * 9 * cells] * 3
    points = 2048 * 256 * (cells + 1) + 5 * 256 * 256 * cells
    assert table.multiply_adds == sum(wide) + points
    assert sum(row.multiply_adds for row in table.rows) == table.multiply_adds


def test_grouped_convolutions_and_products_of_matrices_count_too():
    grouped = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    assert layer_table(grouped, (1, 8, 6, 6)).multiply_adds == 8 * 9 * 36
    assert layer_table(nn.Linear(5, 7), (3, 5)).multiply_adds == 3 * 5 * 7


def test_a_kernel_that_is_shared_is_a_row_of_what_shares_it():
    pyramid = ASPP(6, 4, rates=(1, 2), shared_kernel=True)
    table = layer_table(pyramid, (1, 6, 9, 9))
    row = next(row for row in table.rows if row.name == "atrous")
    assert row == LayerRow("atrous", "SharedAtrous", (1, 8, 9, 9), 6 * 4 * 9, 2 * 6 * 4 * 9 * 81)
    assert sum(row.parameters for row in table.rows) == table.parameters


@pytest.mark.parametrize("shape", [(1, 4, 9, 9), (1, 5, 2**40, 2**40)])
def test_an_input_that_does_not_pass_is_told(shape):
    with pytest.raises(ValueError, match=r"an input of \(1, .* does not pass: \w"):
        layer_table(ASPP(5, 4, rates=(1,)), shape)
