from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> dict[str, Path]:
    """Every module of atrous, by its path below src/atrous."""
    source = ROOT / "src" / "atrous"
    found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*.py"))}
    assert len(found) > 50
    return found
