"""Time several ways of doing one thing in turn, so that a machine's moods hit all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Ways = Mapping[str, Callable[[], object]]
Times = Mapping[str, Sequence[float]]


def race(
    ways: Ways, *, rounds: int, after_round: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Run all ways in turn, `rounds` times, every other round backwards.

    So no way always runs behind the same other one, whose threads may still be about.

    Args:
        ways: What is timed; it has run before, where its first run is slower.
        rounds: How often.
        after_round: Called between rounds.

    Returns:
        Seconds of each round, for each way.
    """
    names = list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in reversed(names) if number % 2 else names:
            started = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - started)
        after_round()
    return times


def ratios(times: Times) -> dict[str, dict[str, float]]:
    """Return the median seconds of each way, and how many times as fast as the first one it is.

    The ratio is taken in each round; of all rounds the median, the least and the largest are kept.

    Example:
        >>> ratios({"slow": [2.0, 4.0, 3.0], "fast": [1.0, 1.0, 1.0]})["fast"]
        {'seconds': 1.0, 'speedup': 3.0, 'speedup_min': 2.0, 'speedup_max': 4.0}
    """
    first = next(iter(times.values()))
    table = {}
    for name, taken in times.items():
        gains = [reference / own for reference, own in zip(first, taken, strict=True)]
        table[name] = {
            "seconds": round(statistics.median(taken), 6),
            "speedup": round(statistics.median(gains), 3),
            "speedup_min": round(min(gains), 3),
            "speedup_max": round(max(gains), 3),
        }
    return table


def compare(ways: Ways, *, rounds: int) -> dict[str, dict[str, float]]:
    """Run each way once to warm up, and then in turn; return their `ratios`."""
    for way in ways.values():
        way()
    return ratios(race(ways, rounds=rounds))
