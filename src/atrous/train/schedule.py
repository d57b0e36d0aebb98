"""Learning-rate schedules: what the highest rate is multiplied by, as a function of the step."""

import math


def poly(progress: float, power: float = 0.9) -> float:
    """Return (1 - progress) ** power, for a progress of 0 to 1 (arXiv:1606.00915, section 4.1)."""
    return (1 - progress) ** power


def cosine(progress: float) -> float:
    """Return half a cosine from 1 to 0, for a progress of 0 to 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def staircase(step: int, step_size: int = 2000, gamma: float = 0.1) -> float:
    """Return gamma ** (step // step_size) (arXiv:1606.00915, section 4.1.1).

    The rate falls to a tenth at step 2000, counted from 0, to a hundredth at 4000, and so on.
    """
    return gamma ** (step // step_size)


def lr_factor(
    step: int,
    total_steps: int,
    *,
    schedule: str = "poly",
    power: float = 0.9,
    step_size: int = 2000,
    gamma: float = 0.1,
    warmup_steps: int = 0,
) -> float:
    """Return the factor for one step.

    It rises linearly over the warm-up, and is then the schedule's over the steps that are left.

    Args:
        step: Counted from 0.
        total_steps: Of the whole training.
        schedule: `poly`, `cosine` or `step`.
        power: Exponent of `poly`.
        step_size: Steps of `step` until the rate falls, and falls again.
        gamma: What it is multiplied by then.
        warmup_steps: Steps until the highest rate.

    Example:
        >>> [round(lr_factor(step, 10, warmup_steps=2), 2) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.54]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "step":
        return staircase(step - warmup_steps, step_size, gamma)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return poly(progress, power) if schedule == "poly" else cosine(progress)
