"""What a time hangs on beside the network: processor, threads, versions, other work."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    *("torch", "torchvision", "segmentation_models_pytorch"),
    *("onnxruntime", "openvino"),
)


def machine_facts() -> dict[str, Any]:
    """Return the facts of this machine, as what JSON can hold.

    `load` is how many processes wanted to compute, in the mean over the last minute: above the
    number of cores, others slowed down what was timed.

    Example:
        >>> machine_facts()["python"].startswith("3.")
        True
    """
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }
    if hasattr(os, "getloadavg"):
        facts["load"] = round(os.getloadavg()[0], 1)
    return facts | {name: found for name in _PACKAGES if (found := _version(name))}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
