from collections import Counter

import numpy as np
import pytest
import torch

from atrous.errors import DataError
from atrous.export.graphs import rates_of
from atrous.export.proof import SHAPES, prove


def runner(model, change=lambda logits: logits):
    @torch.inference_mode()
    def run(images):
        stored = torch.from_numpy(images).permute(0, 3, 1, 2)
        return change(model(model.preprocessing(stored))).numpy()

    return run


pytestmark = pytest.mark.filterwarnings("ignore:rate .* on a map of")


def check(model, run, outputs="logits", precision="fp32", theirs=None):
    rates = rates_of(model), rates_of(model) if theirs is None else theirs
    return prove(model, run, outputs=outputs, precision=precision, rates=rates)


def test_the_same_network_passes(model):
    proof = check(model, runner(model))
    assert proof.relative < 1e-5
    assert proof.equal_labels == 1
    assert len(proof.shapes) == len(SHAPES) == 12
    assert proof.to_json()["largest"] > 0


def test_a_small_error_is_told_and_a_large_one_refused(model):
    proof = check(model, runner(model, lambda x: 1.00005 * x))
    assert proof.relative == pytest.approx(5e-5, rel=0.2)
    with pytest.raises(DataError, match="the export computes something else"):
        check(model, runner(model, lambda x: 1.01 * x))
    assert check(model, runner(model, lambda x: 1.01 * x), precision="fp16").equal_labels == 1


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_what_is_no_number_is_refused(model, precision):
    with pytest.raises(DataError, match="the export computes something else"):
        check(model, runner(model, lambda x: x * float("nan")), precision=precision)


def test_labels_are_compared_by_the_logits_of_what_they_stand_for(model):
    run = runner(model, lambda x: x.argmax(1))
    assert check(model, run, outputs="labels").relative < 1e-5
    with pytest.raises(DataError, match="the export computes something else"):
        check(model, runner(model, lambda x: x.argmin(1)), outputs="labels")


def test_a_lost_rate_is_found(model):
    found = rates_of(model)
    assert found[6, 6] == found[12, 12] == found[18, 18] == 1 < found[1, 1]
    # Another kernel has that rate still, so it is not lost from the set of rates.
    for theirs in (
        found - Counter({(1, 1): 1}),
        found - Counter({(6, 6): 1}),
        Counter({(1, 1): 9}),
    ):
        with pytest.raises(DataError, match=r"kernels with the rates .*, 1 of 6x6, .* became"):
            check(model, runner(model), theirs=theirs)


def test_another_size_is_found(model):
    def cut(images):
        return np.ascontiguousarray(runner(model)(images)[..., :-1, :])

    with pytest.raises(DataError, match="the export gives"):
        check(model, cut)
