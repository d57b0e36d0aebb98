"""Griffe reads `Examples:` in a docstring as code; ours say `Example:`, as most have one."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Gives the section the name by which griffe knows it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section of one class, function or module."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
