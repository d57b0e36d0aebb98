"""Label maps: the class of each pixel, from logits on a coarser grid."""

import os
import threading
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F

# Loading what numba compiled takes a second. Logits at full size from which one map alone is worth
# the wait; how many, of all maps before, make it likely that more come, so that it is loaded beside
# other work; and with how many it is used: by their number, not by what is ready when, so that a
# program gives the same labels each time. The plain way has taken half a second by then.
_LARGE, _SEVERAL, _MANY = 64_000_000, 10_000_000, 100_000_000
_brought = 0
_loading: threading.Thread | None = None


def label_map(logits: Tensor, *, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Return the most likely class of each pixel, for logits brought to `size` bilinearly.

    The logits are not brought there: beside the result a large map needs little memory. The classes
    are those of `plain_label_map`, which serves the first small maps of a process, save where the
    two best differ by less than rounding; of equals the first wins. A NaN wins in all pixels that
    it reaches, the first class of several, as in `torch.argmax`; a class of logit -inf loses in all
    of them. On the CPU the kernel is loaded in a thread while small maps are made, and waited for
    by a large one: about a second, and after the installation once some seconds, to compile.

    Args:
        logits: (B, K, h, w) of any floating type and layout, for K classes on any grid.
        size: Rows and columns of the result.
        align_corners: Whether the centres of the corner cells lie on those of the corner pixels, as
            in some libraries' networks, or else the edges of the maps on each other.

    Returns:
        (B, H, W) uint8, or int32 for more than 255 classes.

    Raises:
        ValueError: The logits or the size have another shape, or are empty.

    Example:
        >>> label_map(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), size=(1, 4))
        tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    """
    if logits.ndim != 4 or 0 in logits.shape[1:] or len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"logits (B, K, h, w) and a size (H, W) of 1 or more were expected, "
            f"got {tuple(logits.shape)} and {tuple(size)}"
        )
    if logits.dtype != torch.float64:
        logits = logits.float()
    if _plain_is_better(logits, size):
        return plain_label_map(logits, size=size, align_corners=align_corners)
    if logits.device.type == "cpu" and not _is_worth_loading(logits, size):
        last = logits.contiguous(memory_format=torch.channels_last)  # takes half the time
        return plain_label_map(last, size=size, align_corners=align_corners)
    return _painted(logits.detach(), size, align_corners=align_corners)


def plain_label_map(
    logits: Tensor, *, size: tuple[int, int], align_corners: bool = False
) -> Tensor:
    """Return what `label_map` does, by way of the logits at their full size.

    It is the reference, and the way for the first small maps, for float64, on other devices, inside
    of networks that are compiled or exported, and where the result is no larger than the logits.

    Example:
        >>> plain_label_map(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), size=(1, 4))
        tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    """
    logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
    return logits.argmax(dim=1).to(_dtype(logits))


def _plain_is_better(logits: Tensor, size: tuple[int, int]) -> bool:
    shrinks = size[0] * size[1] <= logits.shape[2] * logits.shape[3]
    kernel = logits.device.type == "cpu" or (logits.is_cuda and find_spec("triton") is not None)
    traced = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    return shrinks or traced or not kernel or logits.dtype == torch.float64


def _painted(logits: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Return the label map that the kernel makes."""
    labels = logits.new_empty((len(logits), *size), dtype=_dtype(logits))
    if logits.is_cuda:
        from atrous.kernels.label_map_cuda import paint_label_map
    else:
        from atrous.kernels.label_map_cpu import paint_label_map
    paint_label_map(logits, labels, align_corners=align_corners)
    return labels


def _is_worth_loading(logits: Tensor, size: tuple[int, int]) -> bool:
    """Return whether the maps of this process, with this one, pay for loading the CPU kernel."""
    global _brought, _loading  # noqa: PLW0603, one number for the process, as is what it counts
    values = len(logits) * logits.shape[1] * size[0] * size[1]
    before, _brought = _brought, _brought + values
    if values >= _LARGE or _brought >= _MANY:
        return True
    if before >= _SEVERAL and _loading is None:
        _loading = threading.Thread(target=_load, args=(logits.detach()[:1],))
        _loading.start()
        # A copy of this process would wait forever for an import that was under way.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_loading.join)
    return False


def _load(logits: Tensor) -> None:
    """Import the kernel, and compile it for the layout of these logits."""
    import atrous.kernels.label_map_cpu  # noqa: F401

    if threading.main_thread().is_alive():  # else nobody needs it any more
        _painted(logits, (16, 16))


def _dtype(logits: Tensor) -> torch.dtype:
    """Return the type that has room for each class, and for 255 as what is ignored."""
    return torch.uint8 if logits.shape[1] <= 255 else torch.int32
