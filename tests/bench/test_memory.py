import pytest

from atrous.bench import Choice
from atrous.bench.memory import compute, peak_mib, peak_of_this_process
from atrous.errors import ResourceError, UsageError


def test_a_peak_grows_with_what_is_held_and_stays():
    before = peak_of_this_process()
    held = bytearray(b"x") * (100 * 2**20)
    after = peak_of_this_process()
    assert after >= len(held) / 2**20
    del held
    assert peak_of_this_process() > after - 50  # the system counts in batches of pages
    assert after >= before


def test_one_way_is_opened_and_computes(small_file):
    choice = Choice(model=small_file, size=(32, 32), engines=("optimized",))
    compute(choice, "atrous optimized fp32")


@pytest.mark.slow
def test_a_process_of_its_own_does_not_count_the_one_that_asks(small_file):
    choice = Choice(model=small_file, size=(32, 32), engines=("torch",))
    alone = peak_mib(choice, "atrous torch fp32")
    held = bytearray(b"x") * (2**28)
    assert alone > 50
    assert abs(peak_mib(choice, "atrous torch fp32") - alone) < len(held) / 2**21


def test_what_fails_says_why(monkeypatch):
    with pytest.raises(UsageError, match="nothing-like-it"):
        compute(Choice(model="nothing-like-it", size=(32, 32)), "atrous torch fp32")
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(ResourceError, match="memory of atrous torch fp32: no message"):
        peak_mib(Choice(), "atrous torch fp32")
