"""Networks that lack something."""

import functools
from collections.abc import Callable

import pytest
import timm


@pytest.fixture
def without_maps_of(monkeypatch) -> Callable[..., None]:
    """Let timm's networks give no early maps of some strides."""

    def leave_out(*strides: int) -> None:
        indices = [k for k, stride in enumerate((2, 4, 8, 16, 32)) if stride not in strides]
        fewer_maps = functools.partial(timm.create_model, out_indices=indices)
        monkeypatch.setattr(timm, "create_model", fewer_maps)

    return leave_out
