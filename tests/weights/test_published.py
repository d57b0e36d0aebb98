import dataclasses
import hashlib
import io

import pytest
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from atrous.errors import DataError
from atrous.weights import load_model, published
from atrous.weights.model_file import read_facts

NAME = "torchvision/lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    network = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=21)
    return network.eval()


@pytest.fixture(scope="module")
def content(theirs):
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    return file.getvalue()


@pytest.fixture
def entry(site, content, tmp_path, monkeypatch):
    """What torchvision says of LR-ASPP, but for where it is and what it is."""
    monkeypatch.setenv("ATROUS_CACHE", str(tmp_path))
    site.content = content
    real = published.published(NAME)
    name = f"lraspp-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    made = dataclasses.replace(real, url=site.url(name), bytes=len(content))
    monkeypatch.setattr(published, "published", {NAME: made}.__getitem__)
    return made


def test_it_is_downloaded_once_converted_and_computes_the_same(entry, site, theirs, capsys):
    model = load_model(NAME)
    image = torch.randn(1, 3, 97, 65)
    with torch.no_grad():
        assert (model(image) - theirs(image)["out"]).abs().max() < 1e-5
    assert model.classes == entry.classes
    assert not model.training
    error = capsys.readouterr().err
    assert error == f"downloading {entry.url} ({entry.bytes / 1e6:.1f} MB) to {entry.file}\n"
    assert {path.name for path in entry.file.parent.iterdir()} == {
        entry.file.name,
        entry.converted.name,
    }

    again = load_model(NAME)
    assert torch.equal(again(image), model(image))
    assert len(site.asked) == 1
    assert not capsys.readouterr().err

    facts = read_facts(entry.converted)
    assert facts.license == entry.license
    assert facts.training["published"] == {
        "mean_iou": 0.579,
        "measured_on": "COCO-val2017-VOC-labels",
    }
    assert facts.training["converted"]["agreement"]["same_class"] == 1

    # A model file that was damaged is made anew, of what was downloaded.
    entry.converted.write_bytes(entry.converted.read_bytes()[:-1])
    assert torch.equal(load_model(NAME)(image), model(image))
    assert len(site.asked) == 1


def test_what_is_not_the_published_file_is_never_read(entry, site, content, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("read")

    monkeypatch.setattr(published, "convert", refuse)
    site.content = content + b" "
    with pytest.raises(DataError, match="not the published file"):
        load_model(NAME)
    assert not list(entry.file.parent.iterdir())


@pytest.mark.parametrize("name", published.NAMES)
def test_what_is_known_is_torchvisions(name):
    from torchvision.models import get_model_weights

    entry = published.published(name)
    theirs = get_model_weights(name.partition("/")[2]).DEFAULT
    assert entry.url == theirs.url
    assert entry.url.endswith(f"-{entry.sha256}.pth")
    assert len(entry.sha256) == 8
    assert int(entry.sha256, 16)
    assert len(entry.classes) == 21
    scores = theirs.meta["_metrics"][entry.measured_on]
    assert 100 * entry.mean_iou == pytest.approx(scores["miou"])
    # Each parameter takes four bytes; names, statistics and auxiliary heads take the rest.
    assert 1 < entry.bytes / (4 * theirs.meta["num_params"]) < 1.1
    assert "BSD" in entry.license


def test_names_say_what_they_are(monkeypatch, tmp_path):
    monkeypatch.setenv("ATROUS_CACHE", str(tmp_path))
    entry = published.published("torchvision/deeplabv3_mobilenet_v3_large")
    assert entry.summary == "deeplabv3, mobilenet_v3_large, 21 classes"
    assert entry.file.parent == tmp_path / "torchvision"
    assert entry.converted == entry.file.with_suffix(".safetensors")


def test_the_card_says_where_it_is_and_what_is_checked():
    entry = published.published(NAME)
    card = published.card(entry)
    for fact in (entry.url, f"begins with {entry.sha256}", "57.9 %", entry.license, "aeroplane"):
        assert fact in card
