import json

import torch

from atrous.bench import machine_facts


def test_it_says_what_a_time_hangs_on():
    facts = machine_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["threads"] == torch.get_num_threads()
    assert facts["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert facts["processor"]


def test_what_is_not_installed_is_not_there(monkeypatch):
    monkeypatch.setattr("atrous.bench.machine._PACKAGES", ("torch", "no_such_package"))
    assert "no_such_package" not in machine_facts()
