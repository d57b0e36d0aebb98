"""The embedded model by each engine: one picture to its label map, by `atrous.bench`; two threads.

`python -m benchmarks.engines` measures the engines that open in seconds;
`python -m benchmarks.engines all` all of them, in 8 bits too, and their memory. Ratios are to the
plain network. Other libraries' networks are in `benchmarks.against_peers`.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous bench` does

from dataclasses import replace
from typing import Any

from atrous.bench import Choice, bench
from atrous.bench.table import notes
from benchmarks.interleaved import publish

SMALL = Choice(model="camvid-lite0", size=(360, 480), threads=2)


def measure(name: str, title: str, choices: tuple[Choice, ...], *, memory: bool = False) -> None:
    """Compare the ways of each choice, and publish them in one table."""
    table: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for choice in choices:
        found = bench(choice, memory=memory, say=print)
        network = choice.model.removeprefix("random:")
        content = found.to_json()
        ways, _machine = content.pop("ways"), content.pop("machine")
        table |= {f"{network}: {way}": row for way, row in ways.items()}
        facts[network] = content
        print(*notes(found), sep="\n")
    publish(name, title, table, networks=facts)


def main() -> None:
    """Measure the small form, or all."""
    choice, name, memory = SMALL, "small/engines", False
    if "all" in sys.argv[1:]:
        name, memory = "engines", True
        choice = replace(SMALL, engines=("all",), precisions=("fp32", "bf16", "int8"))
    measure(name, "one picture to its label map, by engine", (choice,), memory=memory)


if __name__ == "__main__":
    main()
