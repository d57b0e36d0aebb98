"""What the engines took on this machine, kept for the next process."""

import contextlib
import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from atrous.errors import ResourceError
from atrous.files import write_json
from atrous.models import SegmentationModel

SWITCH = "ATROUS_ENGINE_CACHE"  # 0 keeps no timings, and reads none
_MOST = 500  # entries
_STEPS = 8  # sizes told apart between a side and its double


@dataclass(frozen=True)
class Timing:
    """What came out of one comparison.

    Attributes:
        engine: The fastest.
        opening: Seconds until its first image of a size is done.
        seconds: For each engine that was tried, seconds for an image.
    """

    engine: str
    opening: float
    seconds: Mapping[str, float]


def timing_key(model: SegmentationModel, *, shape: tuple[int, ...], precision: str) -> str:
    """Return what the time of an image hangs on, as one word.

    The values of the weights are no part of it: a network that is trained further takes as long.

    Args:
        model: The network, where it computes.
        shape: (B, H, W) of the images; sides that differ by some percent take as long, and have
            one key.
        precision: What it computes in.
    """
    device = next(model.parameters()).device
    facts = [
        model.blueprint.model_dump_json(),
        shape[0],
        *(round(_STEPS * math.log2(side)) for side in shape[1:]),
        precision,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        platform.node(),
        torch.get_num_threads(),
        *(_version(package) for package in ("atrous", "torch", "openvino", "onnxruntime")),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def recall(file: Path | None, key: str) -> Timing | None:
    """Return what is kept under a key; None where nothing is, or nothing that can be read."""
    try:
        entry = _read(file)[key]
        timing = Timing(**entry)
        return timing if timing.engine in timing.seconds else None
    except (KeyError, TypeError):
        return None


def remember(file: Path | None, key: str, timing: Timing) -> None:
    """Keep a timing; a folder that cannot be written is no reason to fail."""
    if file is None or _is_off():
        return
    entries = _read(file)
    entries.pop(key, None)
    kept = dict(list(entries.items())[1 - _MOST :]) | {key: asdict(timing)}
    with contextlib.suppress(ResourceError):
        write_json(file, kept)


def _read(file: Path | None) -> dict[str, Any]:
    if file is None or _is_off():
        return {}
    try:
        entries = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _is_off() -> bool:
    return os.environ.get(SWITCH) == "0"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
