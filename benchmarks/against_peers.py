"""torchvision's networks beside the same weights in atrous: plain, optimized, and in bfloat16.

One picture of 513x513 to its label map, by `atrous.bench`, with two threads.
`python -m benchmarks.against_peers --compile` adds both compiled.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous bench` does

from atrous.bench import Choice
from benchmarks.engines import measure

NAMES = ("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50")


def main() -> None:
    """Compare them, network by network, and publish the table."""
    engines = ("torch", "optimized", *(("compiled",) if "--compile" in sys.argv else ()))
    choices = tuple(
        Choice(
            model=f"random:torchvision/{name}",
            engines=engines,
            against=("torchvision",),
            rounds=5,
            threads=2,
        )
        for name in NAMES
    )
    title = "torchvision's weights, one picture of 513x513, ratios to torchvision eager"
    measure("against_peers", title, choices)


if __name__ == "__main__":
    main()
