import json
import warnings

import pytest

from atrous.inspect.branch_table import branch_table
from atrous.inspect.inspection import inspect_network
from atrous.inspect.table import layer_table
from atrous.nn import ASPP


def test_a_module_has_layers_and_branches_only():
    pyramid = ASPP(8, 4, rates=(6,))
    found = inspect_network(pyramid, (1, 8, 33, 33), measure=True)
    assert found.table == layer_table(pyramid, (1, 8, 33, 33))
    assert found.branches == branch_table(pyramid, (1, 8, 33, 33))
    assert (found.strides, found.fields, found.photo) == ((), {}, None)


def test_a_model_is_measured_when_it_is_asked_for(model):
    plain = inspect_network(model, (1, 3, 48, 80))
    assert {row.effective for row in plain.branches.rows} == {None}
    assert [row.output_stride for row in plain.strides] == [8, 16, 32]
    measured = inspect_network(model, (1, 3, 48, 80), measure=True)
    assert all(row.effective > 0 for row in measured.branches.rows)


def test_json_holds_the_numbers(model, photo):
    found = inspect_network(model, (1, 3, 48, 80), photo=photo)
    content = json.loads(json.dumps(found.to_json()))
    assert content["multiply_adds"] == found.table.multiply_adds
    assert [row["name"] for row in content["branches"]["rows"]] == list(found.fields)
    assert [row["output_stride"] for row in content["output_strides"]] == [8, 16, 32]
    assert set(content["photo"]["changed_without"]) == set(found.fields)
    assert sum(content["photo"]["shares"].values()) == pytest.approx(1)


def test_it_is_silent_about_what_its_numbers_tell(model, photo):
    model.pyramid._has_warned = False  # rate 9 reaches beyond the map of 3x5 cells
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inspect_network(model, (1, 3, 48, 80), photo=photo)
    assert "rate 9" in found.branches.warning
    assert not model.pyramid._has_warned
