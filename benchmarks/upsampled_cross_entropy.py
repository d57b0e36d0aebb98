"""Cross-entropy on full-size labels: in blocks of rows against the plain way, on the CPU.

Each step is the loss and its gradient. They are timed in turn; the memory of each is how far its
own fresh process grew at its peak.

`python -m benchmarks.upsampled_cross_entropy` measures two cases with two threads;
`python -m benchmarks.upsampled_cross_entropy all` all of them, which takes many minutes.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from atrous.losses import upsampled_cross_entropy
from atrous.losses.cross_entropy import plain_upsampled_cross_entropy
from benchmarks.interleaved import compare, publish

WAYS = {"plain": plain_upsampled_cross_entropy, "blocks": upsampled_cross_entropy}
# Classes, size of the labels, size of the logits, images, and the options of the loss.
CASES: dict[str, tuple[int, tuple[int, int], tuple[int, int], int, dict[str, Any]]] = {
    "150 classes, 513x513 from 129x129, batch 8": (150, (513, 513), (129, 129), 8, {}),
    "150 classes, 513x513 from 33x33, batch 8": (150, (513, 513), (33, 33), 8, {}),
    "19 classes, 512x1024 from 128x256, batch 4": (19, (512, 1024), (128, 256), 4, {}),
    "11 classes, 360x480 from 90x120, batch 8": (11, (360, 480), (90, 120), 8, {}),
    "the same, smoothed": (11, (360, 480), (90, 120), 8, {"label_smoothing": 0.1}),
    "the same, hardest quarter": (11, (360, 480), (90, 120), 8, {"hardest": 0.25}),
    "the same, bfloat16 under autocast": (11, (360, 480), (90, 120), 8, {"half": True}),
    "11 classes, 360x480 at full size, batch 8": (11, (360, 480), (360, 480), 8, {}),
    "2 classes, 513x513 from 129x129, batch 8": (2, (513, 513), (129, 129), 8, {}),
}
# Of the small form.
FEW = ("150 classes, 513x513 from 33x33, batch 8", "11 classes, 360x480 from 90x120, batch 8")


def step(case: str, way: str) -> Callable[[], object]:
    """Return what computes the loss of a case and its gradient, one way."""
    classes, size, grid, batch, options = CASES[case]
    options = dict(options)
    half = options.pop("half", False)
    torch.manual_seed(0)
    logits = torch.randn(batch, classes, *grid, dtype=torch.bfloat16 if half else torch.float32)
    target = torch.randint(0, classes, (batch, *size), dtype=torch.uint8)

    def work() -> object:
        x = logits.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = WAYS[way](x, target, **options)
        loss.backward()
        return x.grad

    return work


def peak_mib(case: str, way: str) -> float:
    """Return by how much a fresh process grows, at its peak, through one step."""
    command = [sys.executable, "-m", "benchmarks.upsampled_cross_entropy", case, way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stdout)


def _print_growth(case: str, way: str) -> None:
    small = torch.randn(1, 2, 8, 8, requires_grad=True)  # what is loaded at the first call
    for loss in WAYS.values():
        loss(small, torch.zeros(1, 300, 300, dtype=torch.long)).backward()
    work = step(case, way)
    before = _peak_kib()
    work()
    print((_peak_kib() - before) / 1024)


def _peak_kib() -> int:
    # Not getrusage: what it says of a child begins at its parent's peak.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def _row(case: str, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    table = compare({way: step(case, way) for way in WAYS}, rounds=3)
    return table["blocks"] | {"plain_seconds": table["plain"]["seconds"]}


def main(*, every: bool) -> None:
    """Time each case with one and two threads, take its memory, and publish the table."""
    table = {}
    for case in CASES if every else FEW:
        memory = {f"{way}_peak_mib": round(peak_mib(case, way), 1) for way in WAYS}
        for threads in (1, 2) if every else (2,):
            row = table[f"{case}, threads {threads}"] = _row(case, threads) | memory
            print(case, threads, row, flush=True)
    name = "upsampled_cross_entropy" if every else "small/upsampled_cross_entropy"
    publish(name, "cross-entropy on full-size labels against upsampling", table)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _print_growth(*sys.argv[1:])
    else:
        main(every="all" in sys.argv[1:])
