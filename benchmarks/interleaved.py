"""Time several ways of doing one thing in turn, so that a machine's moods hit all alike."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from atrous.files import write_text

RESULTS = Path(__file__).parent / "results"


def compare(ways: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Any]:
    """Run each way once to warm up and then in turn, `rounds` times.

    Returns:
        For each way its median seconds, and the median over the rounds of the ratio of the first
        way's time to its own (above 1: faster than the first), with the smallest and largest.
    """
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started)
    first = next(iter(times.values()))
    table = {}
    for name, taken in times.items():
        ratios = [reference / own for reference, own in zip(first, taken, strict=True)]
        table[name] = {
            "seconds": round(statistics.median(taken), 4),
            "speedup": round(statistics.median(ratios), 3),
            "speedup_min": round(min(ratios), 3),
            "speedup_max": round(max(ratios), 3),
        }
    return table


def publish(name: str, title: str, table: dict[str, Any]) -> None:
    """Print a table, and write it to `benchmarks/results/NAME.json` with the machine's facts."""
    print(f"\n{title}")
    width = max(map(len, table))
    for way, row in table.items():
        spread = f"{row['speedup_min']:.2f} to {row['speedup_max']:.2f}"
        print(f"  {way:<{width}}  {row['seconds']:8.3f} s   x{row['speedup']:.2f}  ({spread})")
    machine = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    content = {"title": title, "machine": machine, "ways": table}
    file = write_text(RESULTS / f"{name}.json", json.dumps(content, indent=2) + "\n")
    print(f"  wrote {file}")


def _processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
