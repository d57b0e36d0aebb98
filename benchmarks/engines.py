"""From a picture to its label map: the engines of atrous beside the libraries' own networks.

Each network by `atrous.bench`, with the same weights in all ways; ratios are to the first, which is
the library's network in eager torch where it has one. Two threads.

`python -m benchmarks.engines` measures the small networks in the engines that open in seconds;
`python -m benchmarks.engines all` all networks in all engines, which takes long to compile.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous bench` does

from dataclasses import replace
from typing import Any

from atrous.bench import Choice, bench
from atrous.bench.table import notes
from benchmarks.interleaved import publish

SMALL = (
    Choice(model="camvid-lite0", size=(360, 480), threads=2),
    Choice(
        model="random:torchvision/deeplabv3_mobilenet_v3_large",
        against=("torchvision",),
        threads=2,
    ),
)
LARGE = (
    Choice(model="random:torchvision/deeplabv3_resnet50", against=("torchvision",), threads=2),
    Choice(model="random:smp/deeplabv3plus_resnet50", size=(512, 512), against=("smp",), threads=2),
)


def measure(name: str, title: str, choices: tuple[Choice, ...]) -> None:
    """Compare the ways of each choice, and publish them in one table."""
    table: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for choice in choices:
        found = bench(choice, say=print)
        network = choice.model.removeprefix("random:")
        content = found.to_json()
        ways, _machine = content.pop("ways"), content.pop("machine")
        table |= {f"{network}: {way}": row for way, row in ways.items()}
        facts[network] = content
        print(*notes(found), sep="\n")
    publish(name, title, table, networks=facts)


def main() -> None:
    """Measure the small form, or all."""
    choices = SMALL
    if "all" in sys.argv[1:]:
        choices = tuple(replace(choice, engines=("all",)) for choice in SMALL + LARGE)
    title = "one picture to its label map, ratios to the first way of that network"
    measure("engines", title, choices)


if __name__ == "__main__":
    main()
