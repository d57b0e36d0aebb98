import pytest
import torch

from atrous.errors import MissingExtraError, UsageError
from atrous.fast.engines import AutomaticEngine
from atrous.models import create_model
from atrous.predict.engine import check_words, pick_engine


@pytest.fixture(scope="module")
def network():
    return create_model("deeplabv3", backbone="test_efficientnet", num_classes=2)


def test_auto_keeps_its_timings_in_the_cache_folder(network, tmp_path, monkeypatch):
    monkeypatch.setenv("ATROUS_CACHE", str(tmp_path))
    engine = pick_engine("auto", network, device="cpu")
    assert isinstance(engine, AutomaticEngine)
    assert engine._cache == tmp_path / "engines.json"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_others_are_what_they_are_called(network, precision):
    engine = pick_engine("optimized", network, device="cpu", precision=precision)
    assert (engine.name, engine.precision) == ("optimized", precision)


def test_the_processor_s_engines_need_no_word_on_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("atrous.fast.engines.engine.find_spec", lambda name: name)
    assert check_words("openvino", device="auto", precision="fp32") == torch.device("cpu")


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("atrous.fast.engines.engine.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'atrous\[openvino\]'"):
        check_words("openvino", device="auto", precision="fp32")


def test_wrong_words_are_refused():
    for words in ({"name": "tpu"}, {"device": "abacus"}, {"precision": "fp8"}):
        with pytest.raises(UsageError, match="is unknown; use"):
            check_words(**{"name": "auto", "device": "auto", "precision": "fp32"} | words)
