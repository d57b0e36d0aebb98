"""What share of its steps' time a training waits for data, with 0, 1 and 2 data workers.

`python -m benchmarks.data_pipeline --data DIR` trains the default recipe for some steps on a folder
of photographs, or on the made-up set `shapes`, in turn with each number of workers.
"""

import argparse
import os
import statistics
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous train` does

from pathlib import Path

from atrous.bench import machine_facts
from atrous.files import write_json
from atrous.recipe import load_recipe
from atrous.train import train
from atrous.train.run_directory import BEST
from atrous.weights.model_file import read_facts
from benchmarks.interleaved import RESULTS

WORKERS = (0, 1, 2)


def waiting(settings: list[str], workers: int) -> float:
    """Return the share of the steps' time that a training with so many workers waited for data."""
    recipe = load_recipe("default", [*settings, f"data.workers={workers}"])
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder) / "run")
        return read_facts(Path(folder) / "run" / BEST).training["waiting_for_data"]


def main() -> None:
    """Train in turn, and publish the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shapes", help="a data set, as atrous train takes it")
    parser.add_argument("--set", action="append", default=[], help="a value of the recipe")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    settings = [f"data.source={words.data}", f"train.max_steps={words.steps}", "train.previews=0"]
    settings += ["train.validate_every=1000000", *words.set]
    shares = {workers: [] for workers in WORKERS}
    for _ in range(words.rounds):
        for workers in WORKERS:
            shares[workers].append(waiting(settings, workers))
    table = {
        f"{workers} workers": {
            "waiting": statistics.median(found),
            "waiting_min": min(found),
            "waiting_max": max(found),
        }
        for workers, found in shares.items()
    }
    for way, row in table.items():
        print(f"  {way}  {100 * row['waiting']:.1f} % of the steps' time is spent waiting")
    title = f"share of the steps' time that is spent waiting for data, {words.steps} steps"
    content = {"title": title, "data": Path(words.data).name, "machine": machine_facts()}
    print(f"  wrote {write_json(RESULTS / 'data_pipeline.json', content | {'ways': table})}")


if __name__ == "__main__":
    main()
