import json
from dataclasses import replace

from atrous.bench import Choice


def test_json_has_a_way_by_its_name(found):
    content = json.loads(json.dumps(found.to_json()))
    assert set(content) == {
        *("choice", "network", "weights", "pictures", "ways", "skipped", "machine"),
        *("gigaflops", "multiply_adds", "useful_multiply_adds", "largest_logit"),
    }
    assert list(content["ways"]) == [row.name for row in found.rows]
    assert content["ways"]["atrous openvino bf16"] == {
        "seconds": 0.05,
        "speedup": 8.0,
        "speedup_min": 7.5,
        "speedup_max": 8.4,
        "equal_labels": 0.98765,
        "logit_difference": None,
        "roofline": 0.254,
        "peak_mib": None,
    }
    assert content["weights"] == "trained"
    assert content["choice"]["size"] == [360, 480]


def test_random_weights_are_said(found):
    network = replace(found, choice=Choice(model="random:torchvision/lraspp_mobilenet_v3_large"))
    assert network.is_random
    assert network.to_json()["weights"] == "random"


def test_conditions_are_one_line(found):
    assert found.conditions == "360 x 480, 3 rounds in turn, 2 threads, 3 photographs"
    batches = replace(found, choice=replace(found.choice, batch=4, rounds=1))
    assert batches.conditions.startswith("360 x 480, batches of 4, 1 round in turn")
