"""The one `Core` of OpenVINO that a process has."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino


@cache
def openvino_core() -> "openvino.Core":
    """Return the one that all graphs of this process are read and compiled by; it stays.

    Each `Core` brings a plugin for the processor, which gives the thread a stack for signals, and
    when it goes puts back the one that it found. Two that do not go in turn leave the thread one
    that is freed already; and the next signal that Python handles, be it the end of a child
    process, ends this one (OpenVINO 2026.4; see docs/decisions/0015).

    Raises:
        ImportError: openvino is not installed.
    """
    import openvino

    return openvino.Core()
