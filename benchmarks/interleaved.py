"""Tables of ratios, with the facts of the machine, into `benchmarks/results/`."""

import sys
from pathlib import Path
from typing import Any

from atrous.bench import compare, machine_facts
from atrous.files import write_json

__all__ = ["compare", "publish"]

RESULTS = Path(__file__).parent / "results"


def publish(name: str, title: str, table: dict[str, Any], **facts: Any) -> None:
    """Print a table, and write it to `benchmarks/results/NAME.json` with the machine's facts."""
    print(f"\n{title}")
    width = max(map(len, table))
    for way, row in table.items():
        spread = f"{row['speedup_min']:.2f} to {row['speedup_max']:.2f}"
        print(f"  {way:<{width}}  {row['seconds']:8.3f} s   x{row['speedup']:.2f}  ({spread})")
    command = f"python -m benchmarks.{Path(sys.argv[0]).stem}{' all' * ('all' in sys.argv)}"
    facts = {"title": title, "command": command, "machine": machine_facts(), **facts}
    content = facts | {"ways": table}
    print(f"  wrote {write_json(RESULTS / f'{name}.json', content)}")
