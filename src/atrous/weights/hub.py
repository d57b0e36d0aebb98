"""Model files on the Hugging Face hub: `hf:owner/name`, and the way there with a model card."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from atrous.errors import DataError, ResourceError, UsageError
from atrous.models import SegmentationModel
from atrous.weights.download import cache_folder
from atrous.weights.model_card import model_card
from atrous.weights.model_file import read_facts, read_model, save_model

PREFIX = "hf:"
FILE = "model.safetensors"
BEST_OF_RUN = "best.safetensors"
_SOURCE = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
# The first that fits counts.
_CURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        RepositoryNotFoundError,
        "there is no such repository, or you may not see it; log in with 'hf auth login'",
    ),
    (RevisionNotFoundError, "the repository has no such revision; name another behind the @"),
    (LocalEntryNotFoundError, "the hub cannot be reached; connect and run this again"),
    (
        EntryNotFoundError,
        f"the repository has no {FILE}; those that atrous.weights.push_to_hub wrote have one",
    ),
    (HFValidationError, "{reason}; write hf:owner/name"),
    (
        (HfHubHTTPError, LocalTokenNotFoundError),
        "the hub refuses it ({reason}); log in with 'hf auth login'",
    ),
    (Exception, "the hub cannot be reached ({reason}); connect and run this again"),
)
# The first base of the hub's errors is that of all errors of the HTTP library that it uses.
_FAULTS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    EntryNotFoundError,
    HfHubHTTPError.__bases__[0],
)


def load_from_hub(source: str) -> SegmentationModel:
    """Return a model of the hub in eval mode.

    Only the model file is fetched, and read as any other: nothing of the repository is executed.

    Args:
        source: `hf:owner/name` or `hf:owner/name@revision`.

    Raises:
        UsageError: It is not written so.
        DataError: It is not there, or not to be reached, or its file is no model file.
    """
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise UsageError(f"{source}: a model on the hub is written hf:owner/name[@revision]")
    try:
        file = huggingface_hub.hf_hub_download(
            match["repository"], FILE, revision=match["revision"], library_name="atrous"
        )
    except _FAULTS as error:
        raise _fault(source, error) from error
    try:
        return read_model(file)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def push_to_hub(
    model: SegmentationModel | str | Path, repository: str, *, private: bool = False
) -> str:
    """Put a model file and its card on the hub, in one commit; the repository is made if need be.

    Args:
        model: A model; or a model file or a run directory, which have the facts of a training for
            the card.
        repository: `owner/name`.
        private: Whether only its owners can see the repository, if it is made now.

    Returns:
        What `load_model` takes.

    Raises:
        UsageError: The repository is not written `owner/name`.
        DataError: The file is no model file; or the hub is not to be reached, or refuses it.
        ResourceError: The disk is full.

    Example:
        >>> push_to_hub("runs/first", "owner/street")  # doctest: +SKIP
        'hf:owner/street'
    """
    source = f"{PREFIX}{repository}"
    match = _SOURCE.fullmatch(source)
    if match is None or match["revision"]:
        raise UsageError(f"{repository}: a repository on the hub is written owner/name")
    with _as_file(model) as file:
        card = model_card(read_facts(file), source, megabytes=file.stat().st_size / 1e6)
        operations = [
            huggingface_hub.CommitOperationAdd(FILE, file),
            huggingface_hub.CommitOperationAdd("README.md", card.encode()),
        ]
        try:
            huggingface_hub.create_repo(repository, private=private, exist_ok=True)
            huggingface_hub.create_commit(
                repository, operations, commit_message="Model file of atrous, and its card"
            )
        except _FAULTS as error:
            raise _fault(source, error) from error
    return source


def file_of(path: str | Path) -> Path:
    """Return the model file at a path, which may be a run directory: there it is the best weights.

    Example:
        >>> file_of("model.safetensors").name
        'model.safetensors'
    """
    path = Path(path)
    return path / BEST_OF_RUN if path.is_dir() else path


@contextmanager
def _as_file(model: SegmentationModel | str | Path) -> Iterator[Path]:
    if not isinstance(model, SegmentationModel):
        yield file_of(model)
        return
    file = cache_folder() / f"push-{os.getpid()}-{uuid.uuid4().hex}.safetensors"
    try:
        yield save_model(model, file)
    finally:
        file.unlink(missing_ok=True)


def _fault(source: str, error: Exception) -> DataError | ResourceError:
    """Return what is wrong and what to do about it, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = lines[0].strip(" .")[:200]
    if getattr(error, "errno", None) == errno.ENOSPC:
        return ResourceError(f"{source}: the disk is full ({reason}); make room and run this again")
    cure = next(cure for kinds, cure in _CURES if isinstance(error, kinds))
    return DataError(f"{source}: {cure.format(reason=reason)}")
