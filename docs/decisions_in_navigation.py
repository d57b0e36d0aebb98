"""A hook of mkdocs: every decision is in the navigation, under its title."""

from pathlib import Path
from typing import Any

DECISIONS = Path(__file__).parent / "decisions"


def on_config(config: Any) -> Any:
    """Append the decisions to the part `Explanation`."""
    part = next(part["Explanation"] for part in config.nav if "Explanation" in part)
    part.append({"Decisions": [_entry(path) for path in sorted(DECISIONS.glob("*.md"))]})
    return config


def _entry(path: Path) -> dict[str, str]:
    title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return {title: f"decisions/{path.name}"}
