import errno
import inspect
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from atrous.errors import DataError, ResourceError, UsageError
from atrous.train import run_directory
from atrous.weights import hub, load_model
from atrous.weights.model_file import read_facts

IMAGE = torch.randn(1, 3, 49, 70, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def download(monkeypatch):
    """Replace the hub's download by one that returns, or raises, what it is given."""
    asked = []

    def replace(outcome):
        def hf_hub_download(*args, **keywords):
            inspect.signature(real).bind(*args, **keywords)
            asked.append((*args, keywords["revision"]))
            if isinstance(outcome, Exception):
                raise outcome
            return str(outcome)

        real = huggingface_hub.hf_hub_download
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
        return asked

    return replace


@pytest.fixture
def pushed(monkeypatch, tmp_path):
    """Replace the hub's repositories by a dict: what was made, and the files of each commit."""
    monkeypatch.setenv("ATROUS_CACHE", str(tmp_path / "cache"))
    world = {"made": [], "files": {}, "error": None}

    def create_repo(*args, **keywords):
        inspect.signature(makes).bind(*args, **keywords)
        if world["error"]:
            raise world["error"]
        world["made"].append((*args, keywords["private"]))

    def create_commit(*args, **keywords):
        inspect.signature(commits).bind(*args, **keywords)
        for operation in args[1]:
            with operation.as_file() as file:
                world["files"][operation.path_in_repo] = file.read()

    makes, commits = huggingface_hub.create_repo, huggingface_hub.create_commit
    monkeypatch.setattr(huggingface_hub, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub, "create_commit", create_commit)
    return world


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("hf:owner/name", ("owner/name", "model.safetensors", None)),
        ("hf:o.w-n_er/n1@main", ("o.w-n_er/n1", "model.safetensors", "main")),
        ("hf:owner/name@refs/pr/1", ("owner/name", "model.safetensors", "refs/pr/1")),
    ],
)
def test_a_model_is_loaded_from_the_hub(download, file, model, source, asked):
    calls = download(file)
    assert torch.equal(load_model(source)(IMAGE), model(IMAGE))
    assert calls == [asked]


@pytest.mark.parametrize(
    "source", ["hf:", "hf:name", "hf:a/b/c", "hf:a/b@", "hf:a b/c", "hf:a/b@c d"]
)
def test_what_is_no_name_of_the_hub_is_not_asked_for(download, file, source):
    calls = download(file)
    with pytest.raises(UsageError, match=r"is written hf:owner/name\[@revision\]"):
        load_model(source)
    assert not calls


def answered(kind):
    """An error of the hub's, without the library for HTTP that it now builds its answers with."""
    return kind("Not so.\n\nMore.", response=SimpleNamespace(headers={}, request=None))


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (answered(errors.RepositoryNotFoundError), "no such repository, or you may not see"),
        (answered(errors.GatedRepoError), "log in with 'hf auth login'"),
        (answered(errors.RevisionNotFoundError), "no such revision"),
        (answered(errors.RemoteEntryNotFoundError), "has no model.safetensors"),
        (answered(errors.HfHubHTTPError), r"refuses it \(Not so\); log in"),
        (errors.LocalEntryNotFoundError("a\nb"), "cannot be reached; connect"),
        (errors.OfflineModeIsEnabled("offline\nmode"), r"cannot be reached \(offline\); connect"),
        (errors.HFValidationError("too long"), "too long; write hf:owner/name"),
        (ConnectionError(), r"cannot be reached \(ConnectionError\)"),
        (errors.HfHubHTTPError.__bases__[0]("reset"), r"cannot be reached \(reset\)"),
    ],
)
def test_every_fault_of_the_hub_is_one_line(download, pushed, file, error, cure):
    download(error)
    with pytest.raises(DataError, match=cure) as caught:
        load_model("hf:owner/name")
    assert str(caught.value).startswith("hf:owner/name: ")
    assert "\n" not in str(caught.value)
    pushed["error"] = error
    with pytest.raises(DataError, match=cure):
        hub.push_to_hub(file, "owner/name")


def test_a_full_disk_is_told_as_one(download):
    download(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(ResourceError, match="hf:owner/name: the disk is full"):
        load_model("hf:owner/name")


def test_a_repository_of_another_program_is_refused(download, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    download(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"hf:owner/name: .*not one that atrous wrote"):
        load_model("hf:owner/name")


@pytest.mark.parametrize("private", [False, True])
def test_a_file_is_pushed_as_it_is_with_its_card(pushed, file, private):
    assert hub.push_to_hub(file, "owner/name", private=private) == "hf:owner/name"
    assert pushed["made"] == [("owner/name", private)]
    assert pushed["files"].keys() == {"model.safetensors", "README.md"}
    assert pushed["files"]["model.safetensors"] == file.read_bytes()
    card = pushed["files"]["README.md"].decode()
    assert "license: apache-2.0" in card
    assert "mean IoU: 50.00 %" in card
    assert 'atrous.Segmenter("hf:owner/name")' in card


def test_of_a_run_directory_the_best_weights_are_pushed(pushed, file, tmp_path):
    assert hub.BEST_OF_RUN == run_directory.BEST
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").write_bytes(file.read_bytes())
    hub.push_to_hub(run, "owner/name")
    assert pushed["files"]["model.safetensors"] == file.read_bytes()


def test_a_model_is_pushed_and_nothing_is_left_behind(pushed, model, tmp_path):
    hub.push_to_hub(model, "owner/name")
    assert not list((tmp_path / "cache").iterdir())
    file = tmp_path / "received.safetensors"
    file.write_bytes(pushed["files"]["model.safetensors"])
    assert torch.equal(load_model(file)(IMAGE), model(IMAGE))
    assert read_facts(file).classes == model.classes


def test_after_a_fault_nothing_is_left_behind_either(pushed, model, tmp_path):
    pushed["error"] = ConnectionError("gone")
    with pytest.raises(DataError, match="gone"):
        hub.push_to_hub(model, "owner/name")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("repository", ["name", "hf:owner/name", "owner/name@main", ""])
def test_where_to_push_is_owner_and_name(pushed, file, repository):
    with pytest.raises(UsageError, match="is written owner/name"):
        hub.push_to_hub(file, repository)
    assert not pushed["made"]


def test_only_model_files_are_pushed(pushed, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a model file"):
        hub.push_to_hub(tmp_path / "a.safetensors", "owner/name")
    assert not pushed["made"]
