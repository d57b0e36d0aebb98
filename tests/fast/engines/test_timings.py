import pytest
import torch

from atrous.fast.engines.timings import SWITCH, Timing, recall, remember, timing_key

SOME = Timing("openvino", 2.5, {"optimized": 0.2, "openvino": 0.1})
OTHER = Timing("optimized", 0.0, {"optimized": 0.2})


def test_what_is_remembered_is_recalled(cache):
    assert recall(cache, "a") is None
    remember(cache, "a", SOME)
    remember(cache, "b", OTHER)
    remember(cache, "a", OTHER)
    assert (recall(cache, "a"), recall(cache, "b"), recall(cache, "c")) == (OTHER, OTHER, None)


def test_it_can_be_switched_off(cache, monkeypatch):
    remember(cache, "a", SOME)
    monkeypatch.setenv(SWITCH, "0")
    remember(cache, "b", SOME)
    assert recall(cache, "a") is None
    monkeypatch.delenv(SWITCH)
    assert (recall(cache, "a"), recall(cache, "b")) == (SOME, None)
    remember(None, "a", SOME)
    assert recall(None, "a") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"a": 1}',
        b'{"a": {"engine": "x"}}',
        b'{"a": {"engine": "x", "opening": 1, "seconds": {}}}',
    ],
)
def test_a_file_that_is_no_cache_is_none(cache, content):
    cache.parent.mkdir()
    cache.write_bytes(content)
    assert recall(cache, "a") is None
    remember(cache, "a", SOME)
    assert recall(cache, "a") == SOME


def test_the_oldest_go(cache, monkeypatch):
    monkeypatch.setattr("atrous.fast.engines.timings._MOST", 3)
    for key in "abcde":
        remember(cache, key, OTHER)
    assert [recall(cache, key) for key in "abcde"] == [None, None, OTHER, OTHER, OTHER]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    remember(tmp_path / "file" / "engines.json", "a", SOME)
    assert recall(tmp_path / "file" / "engines.json", "a") is None


def test_the_key_tells_apart_what_takes_another_time(make, monkeypatch):
    model = make()

    def key(model=model, shape=(1, 40, 40), precision="fp32"):
        return timing_key(model, shape=shape, precision=precision)

    keys = {key(), key(make("deeplabv3plus")), key(shape=(1, 40, 50)), key(precision="bf16")}
    assert key(shape=(1, 40, 41)) == key()  # a folder of photographs has many such sizes
    model.set_output_stride(8)
    keys.add(key())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    keys.add(key())
    assert len(keys) == 6
