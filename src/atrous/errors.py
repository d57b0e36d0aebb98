"""The one family of errors: what a user can cause, in one line that names the file and the cure.

Anything else that is raised is a bug of ours, and ends a command with exit code 1.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class AtrousError(Exception):
    """Base of all errors that atrous raises on purpose.

    A message says what was expected, what came and what to do about it, and begins with the name
    of the file where there is one. `exit_code` is what a command ends with.
    """

    exit_code = 1


class UsageError(AtrousError, ValueError):
    """An argument or option has no meaning here."""

    exit_code = 2


class RecipeError(AtrousError, ValueError):
    """A recipe has an unknown key or a value out of range."""

    exit_code = 2


class DataError(AtrousError, ValueError):
    """An image, mask, data set or model file is missing or is not what it should be."""

    exit_code = 3


class DivergedError(AtrousError, ArithmeticError):
    """The loss is no longer a finite number."""

    exit_code = 4


class ResourceError(AtrousError, OSError):
    """The disk is full, cannot be written, or memory ran out."""

    exit_code = 5


class SomeInputsFailedError(AtrousError):
    """Some of many inputs failed; the others were finished and written."""

    exit_code = 6


class MissingExtraError(AtrousError, ImportError):
    """An optional part of atrous is not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'atrous[{extra}]'")


def explain(error: "ValidationError") -> str:
    """Return the first complaint of pydantic in one line: where, what was expected, what came."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    complaint = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{where or 'value'}: {complaint}, got {str(first['input'])[:80]!r}"
