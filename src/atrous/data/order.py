"""The order of training samples, as a pure function of a seed.

A run is one endless stream of samples: position p lies in epoch p // length, and each epoch is a
fresh permutation. Where a run stands is one number, so a run that resumes draws what it would
have drawn.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

_ORDER, _SAMPLE, _STEP = 0, 1, 2  # keep the random numbers of each purpose apart


def sample_order(length: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the order in which an epoch visits the samples.

    Args:
        length: Number of samples, at least 1.
        seed: Of the run, 0 or more.
        epoch: Counted from 0.

    Returns:
        (length,) int64, a permutation of 0 to length - 1; read-only.

    Example:
        >>> sorted(sample_order(4, seed=0, epoch=1).tolist())
        [0, 1, 2, 3]
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    return _permutation(length, seed, epoch)


def sample_at(position: int, length: int, *, seed: int) -> tuple[int, int]:
    """Return (epoch, index) of the sample that is drawn after `position` others."""
    epoch, step = divmod(position, length)
    return epoch, int(sample_order(length, seed=seed, epoch=epoch)[step])


def seed_for(seed: int, epoch: int, index: int) -> int:
    """Return the seed of all that is random about one sample in one epoch, 0 to 2^63 - 1."""
    return _derived_seed(seed, _SAMPLE, epoch, index)


def seed_for_step(seed: int, step: int) -> int:
    """Return the seed of what is random inside one training step, such as dropout."""
    return _derived_seed(seed, _STEP, step)


class EndlessOrder:
    """A part of the endless stream of samples, as a sampler for a `DataLoader`.

    Args:
        length: Number of samples in the data set.
        seed: Of the run, 0 or more.
        start: Position of the first sample to draw: how many were drawn before.
        stop: Position after the last one.

    Example:
        >>> [epoch for epoch, _ in EndlessOrder(3, seed=0, start=2, stop=7)]
        [0, 1, 1, 1, 2]
    """

    def __init__(self, length: int, *, seed: int, start: int, stop: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        if not 0 <= start <= stop:
            raise ValueError(f"need 0 <= start <= stop, got start {start} and stop {stop}")
        self.length, self.seed = length, seed
        self.start, self.stop = start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (epoch, index) pairs, drawing each permutation when it is reached."""
        for position in range(self.start, self.stop):
            yield sample_at(position, self.length, seed=self.seed)


def _seed(seed: int, *purpose: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=purpose)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


@lru_cache(maxsize=2)
def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    sequence = np.random.SeedSequence(seed, spawn_key=(_ORDER, epoch))
    order = np.random.default_rng(sequence).permutation(length)
    order.flags.writeable = False  # the cache shares it
    return order


def _derived_seed(seed: int, *key: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
