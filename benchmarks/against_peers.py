"""torchvision's and smp's networks, each at its best, beside the same weights in atrous.

One picture to its label map, by `atrous.bench`, with two threads. Ratios are to the peer's eager
network; the line `best` holds the best way of atrous against the best of the peer's.

`python -m benchmarks.against_peers` measures one network in what opens in seconds;
`python -m benchmarks.against_peers all` all networks in all engines, which takes long to compile.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous bench` does

from dataclasses import replace

from atrous.bench import Choice
from benchmarks.engines import measure

SMALL = Choice(
    model="random:torchvision/deeplabv3_mobilenet_v3_large",
    engines=("optimized", "openvino"),
    against=("torchvision",),
    rounds=5,
    threads=2,
)
RESNET = replace(SMALL, model="random:torchvision/deeplabv3_resnet50")
SMP = replace(SMALL, model="random:smp/deeplabv3plus_resnet50", size=(512, 512), against=("smp",))


def main() -> None:
    """Compare them, network by network, and publish the table."""
    choices, name = (SMALL,), "small/against_peers"
    if "all" in sys.argv[1:]:
        name = "against_peers"
        more = {"engines": ("all",), "precisions": ("fp32", "bf16", "int8"), "rounds": 9}
        choices = tuple(replace(one, **more) for one in (SMALL, RESNET, SMP))
    title = "other libraries' networks, one picture to its label map, ratios to the library's eager"
    measure(name, title, choices)


if __name__ == "__main__":
    main()
