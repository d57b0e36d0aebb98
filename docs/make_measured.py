"""Writes `measured.md` from `benchmarks/results/*.json`: `python docs/make_measured.py`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_KNOWN = ("seconds", "speedup", "speedup_min", "speedup_max")
_HEAD = """\
# What was measured

Made from the files in `benchmarks/results/` by `python docs/make_measured.py`; `make bench`
measures anew, on your machine. All ways of a table were timed in turn, round after round in one
process, so that whatever else the machine did hit all alike. "Times" is how many times as fast as
the first way, or else as the plain way, in the median of the rounds; the range is that of the
rounds. Where it is wide, the machine was busy, and the second digit means nothing.

The scores of trained networks, with the commands that made them, are in
[Experiments](experiments.md), and those that a recipe should come to in [Recipes](recipes.md).
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join(
        [
            _HEAD,
            *(section(path) for path in sorted(RESULTS.glob("*.json"), key=lambda path: path.stem)),
        ]
    )


def section(path: Path) -> str:
    """Return title, command, machine and table of one file, NAME.json or NAME-MACHINE.json."""
    content = json.loads(path.read_text(encoding="utf-8"))
    title, machine, ways = content.pop("title"), content.pop("machine"), content.pop("ways")
    name, _, kind = path.stem.partition("-")
    command = content.pop("command", f"python -m benchmarks.{name}")
    lines = [f"## {title}{f' ({kind})' * bool(kind)}", "", f"    {command}", ""]
    lines += [f"{_words({**machine, **content})}.", "", *_table(ways)]
    return "\n".join(lines) + "\n"


def _words(facts: Mapping[str, Any]) -> str:
    """Return the facts of a run on one line, those that are tables left out."""
    plain = {key: fact for key, fact in facts.items() if not isinstance(fact, dict | list)}
    note = plain.pop("note", None)
    line = ", ".join(
        f"{fact}" if key == "processor" else f"{key.replace('_', ' ')} {fact}"
        for key, fact in plain.items()
    )
    return f"{line}; {note}" if note else line


def _table(ways: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a row for each way, with a column for whatever else was measured of any."""
    more = list(dict.fromkeys(key for row in ways.values() for key in row if key not in _KNOWN))
    names = [key.replace("_", " ").replace("mib", "MiB").replace("seconds", "s") for key in more]
    yield f"| way | s | times | range |{''.join(f' {name} |' for name in names)}"
    yield f"|---|---:|---:|---|{'---:|' * len(more)}"
    for way, row in ways.items():
        span = " to ".join(_figure(row.get(key)) for key in ("speedup_min", "speedup_max"))
        known = [_figure(row.get("seconds"), 4), _figure(row.get("speedup")), span]
        yield f"| {' | '.join([way, *known, *(_figure(row.get(key), 4) for key in more)])} |"


def _figure(value: Any, digits: int = 3) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value).replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("measured.md").write_text(page(), encoding="utf-8")
