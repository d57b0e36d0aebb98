"""The model file: one `.safetensors` with everything needed to rebuild and use a network.

The tensors are the state dict. The metadata holds one JSON text under the key `atrous`: how to
build the network, its classes, palette and preprocessing, facts of its training, a licence, and
the SHA-256 of the tensors. Reading it runs no code; names are looked up in atrous's own tables.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from atrous.errors import AtrousError, DataError, UsageError, explain
from atrous.files import write_atomically
from atrous.models import Blueprint, Preprocessing, SegmentationModel, build

FORMAT = "atrous-model-1"
STORAGE = {"float32": torch.float32, "float16": torch.float16}
"""How weights may be stored; they are float32 again when read."""


class ModelFacts(BaseModel):
    """What a model file says about its network, beside the tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    model: Blueprint
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    preprocessing: Preprocessing
    training: dict[str, Any] = Field(default_factory=dict)
    license: str = ""
    sha256: str

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str) -> str:
        if value != FORMAT:
            raise ValueError(f"this atrous reads {FORMAT!r}")
        return value


def save_model(
    model: SegmentationModel,
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    training: dict[str, Any] | None = None,
    license: str = "",
) -> Path:
    """Write `model` to one `.safetensors` file that `load_model` reads.

    Args:
        model: A network that `create_model` made.
        path: The file to write; its folder is made.
        dtype: How the weights are stored: `torch.float32`, or `torch.float16` for half the size;
            tensors with values too large for float16 stay float32.
        training: Facts worth keeping, such as the recipe and the score reached.
        license: What one may do with the weights.

    Returns:
        The path.

    Raises:
        UsageError: Weights are not stored as this type.
        ResourceError: The file cannot be written.

    Example:
        >>> import tempfile, atrous
        >>> model = atrous.create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> file = save_model(model, tempfile.mkdtemp() + "/model.safetensors")
        >>> atrous.load_model(file).classes
        ('class 0', 'class 1')
    """
    if dtype not in STORAGE.values():
        raise UsageError(f"weights are stored as {' or '.join(STORAGE)}, not as {dtype}")
    state = {key: _stored(tensor, dtype) for key, tensor in model.state_dict().items()}
    facts = ModelFacts(
        format=FORMAT,
        model=model.blueprint,
        classes=model.classes,
        palette=model.palette,
        preprocessing=model.preprocessing,
        training=training or {},
        license=license,
        sha256=digest(state),
    )
    content = save(state, metadata={"atrous": facts.model_dump_json()})
    return write_atomically(path, lambda file: file.write(content))


def read_model(path: str | Path) -> SegmentationModel:
    """Rebuild the network that `save_model` wrote, in eval mode and float32.

    Raises:
        DataError: The file is missing, is no model file, was altered, or does not fit its network.
    """
    path = Path(path)
    facts, state = _read(path)
    if digest(state) != facts.sha256:
        raise DataError(f"{path}: the tensors are not those that were saved; fetch the file again")
    model = build_filled(path, lambda: _rebuild(path, facts), state)
    return model.eval()


def read_facts(path: str | Path) -> ModelFacts:
    """Return what a model file says about itself, without reading its tensors.

    Raises:
        DataError: The file is missing, or is no model file.
    """
    path = Path(path)
    with _open(path) as file:
        return _facts(path, file.metadata())


def build_filled(
    source: str | Path, make: Callable[[], SegmentationModel], state: dict[str, Tensor]
) -> SegmentationModel:
    """Return the network that `make` makes, with `state` as its tensors.

    It is made on torch's meta device, which knows shapes but no values: what does not fit is told
    before a network that a file merely names, however large, costs memory; and what fits needs no
    values of its own.

    Args:
        source: What the tensors were read from, for the message.
        make: Builds the network.
        state: All of its tensors by their names.

    Raises:
        DataError: A tensor is missing, has no place, or does not fit its place.
    """
    with torch.device("meta"):
        model = make()
    wanted = model.state_dict()
    _compare(source, state, wanted)
    tensors = {key: state[key].to(wanted[key].dtype, copy=True) for key in wanted}
    if any(key not in wanted for key, _ in model.named_buffers()):
        model = make()  # values that no file holds, such as the kernel of a fixed blur
        model.load_state_dict(tensors)
    else:
        model.load_state_dict(tensors, assign=True)
    return model


def digest(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes, types and values, whatever the order of the names."""
    sha256 = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        sha256.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    stored = tensor.to(dtype)
    return stored if stored.isfinite().all() else tensor.float()


def _open(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a model file (.safetensors)")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: not a model file ({error}); expected a .safetensors that atrous wrote"
        ) from error


def _facts(path: Path, metadata: dict[str, str] | None) -> ModelFacts:
    text = (metadata or {}).get("atrous")
    if text is None:
        raise DataError(
            f"{path}: a safetensors file, but not one that atrous wrote: "
            "its metadata does not say how to build the network"
        )
    try:
        return ModelFacts.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path}: its metadata cannot be read: {explain(error)}") from error


def _read(path: Path) -> tuple[ModelFacts, dict[str, Tensor]]:
    with _open(path) as file:
        facts = _facts(path, file.metadata())
        return facts, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, no mapping


def _rebuild(path: Path, facts: ModelFacts) -> SegmentationModel:
    try:
        model = build(facts.model)
        model.name_classes(facts.classes, facts.palette)
    except AtrousError as error:
        raise DataError(f"{path}: its metadata describes no network: {error}") from error
    if len(facts.preprocessing.mean) != facts.model.in_channels:
        raise DataError(
            f"{path}: its metadata prepares images of {len(facts.preprocessing.mean)} channels for "
            f"a network of {facts.model.in_channels}"
        )
    model.preprocessing = facts.preprocessing
    return model


def _compare(source: str | Path, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    problems = [
        *(f"{key} is missing" for key in wanted.keys() - state.keys()),
        *(f"{key} is not part of the network" for key in state.keys() - wanted.keys()),
        *(
            f"{key} {fault}"
            for key in wanted.keys() & state.keys()
            if (fault := _fault(state[key], wanted[key]))
        ),
    ]
    if problems:
        raise DataError(
            f"{source}: {len(problems)} tensors do not fit: {'; '.join(sorted(problems)[:3])}"
        )


def _fault(stored: Tensor, wanted: Tensor) -> str:
    """Return why `stored` cannot take the place of `wanted`; empty when it can."""
    if stored.shape != wanted.shape:
        return f"has shape {tuple(stored.shape)}, expected {tuple(wanted.shape)}"
    types = STORAGE.values() if wanted.is_floating_point() else (wanted.dtype,)
    if stored.dtype not in types:
        return f"has type {stored.dtype}, expected {wanted.dtype}"
    if stored.is_floating_point() and not stored.isfinite().all():
        return "has values that are not finite"
    return ""
