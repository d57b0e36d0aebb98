"""Where the tensors live: one word from the user to one torch device."""

import torch

from atrous.errors import UsageError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` takes the first CUDA GPU, else Apple's, else the CPU.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or any other word that torch knows.

    Raises:
        UsageError: torch does not know the word, or this machine has no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"device {name!r} is unknown; use auto, cpu, cuda, cuda:0 or mps"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA GPUs here; "
            "use --device cpu or auto"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps': torch sees no Apple GPU here; use --device cpu or auto")
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Without instructions for it bfloat16 is slower. torch 2.10 cannot tell: float32 there.
        return has_matrix_unit() or _cpu_has("avx512_bf16")
    return False


def has_matrix_unit() -> bool:
    """Return whether the processor multiplies bfloat16 in tiles (AMX)."""
    return _cpu_has("amx_bf16")


def _cpu_has(unit: str) -> bool:
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get(unit))
