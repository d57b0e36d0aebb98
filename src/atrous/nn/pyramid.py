"""What every pyramid has in common: rates that can be changed, and a word when they are too wide.

Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import product
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from atrous.nn.geometry import useful_taps


class DeadTapsWarning(UserWarning):
    """A rate reaches beyond the map, so that most taps of its kernel read padding only.

    Beyond both edges a 3x3 kernel is a 1x1 (arXiv:1706.05587, section 3.3) at the price of a 3x3.
    """


class Pyramid(nn.Module):
    """Abstract base: a module that reads one map at several rates, and keeps its size.

    The first map on which a rate reaches beyond an edge brings a `DeadTapsWarning`; the next one
    comes after the rates have changed. Even kernels, which have no centre tap, bring none.

    Args:
        rates: Distances between the taps of its kernels, in cells (not image pixels); where the
            subclass takes pairs, each is (between rows, between columns).

    Attributes:
        out_channels: Channels D of the result.
        kernel_size: Taps of its kernels along each axis.
        multi_grid: What multiplies each rate within its branch.
        takes_pairs: Whether each of its rates is a pair.
        needs_rates: Whether nothing is left of it without any rate.

    Raises:
        ValueError: No rate is given where one is needed, or one is no whole number from 1 up.
    """

    out_channels: int
    kernel_size: int = 3
    multi_grid: tuple[int, ...] = (1,)
    takes_pairs: bool = False
    needs_rates: bool = True

    def __init__(self, rates: Sequence[Any]) -> None:
        super().__init__()
        self._rates = self._checked(rates)
        self._has_warned = False
        self.register_forward_pre_hook(_warn_of_dead_taps, with_kwargs=True)

    @property
    def rates(self) -> tuple[Any, ...]:
        """The rates, in cells; others, as many, can be set: the weights stay."""
        return self._rates

    @rates.setter
    def rates(self, rates: Sequence[Any]) -> None:
        new = self._checked(rates)
        if len(new) != len(self._rates):
            raise ValueError(
                f"expected {len(self._rates)} rates, as many as before, got {new}; build another "
                f"{type(self).__name__} for another number"
            )
        if new != self._rates:
            self._apply_rates(new)
            self._rates, self._has_warned = new, False

    @abstractmethod
    def _apply_rates(self, rates: tuple[Any, ...]) -> None:
        """Give each branch its rate."""

    def _checked(self, rates: Sequence[Any]) -> tuple[Any, ...]:
        """Return `rates` as plain numbers, or pairs of them."""
        axes = 2 if self.takes_pairs else 1
        pairs = [tuple(rate) if isinstance(rate, Iterable) else (rate,) for rate in rates]
        too_few = self.needs_rates and not pairs
        if too_few or not all(len(pair) == axes and all(map(_is_rate, pair)) for pair in pairs):
            kind = "pairs of whole numbers" if self.takes_pairs else "whole numbers"
            number = "one or more " if self.needs_rates else ""
            raise ValueError(f"rates needs {number}{kind} from 1 up, got {tuple(rates)}")
        whole = [tuple(map(int, pair)) for pair in pairs]
        return tuple(whole if self.takes_pairs else (rate for (rate,) in whole))


def _is_rate(number: object) -> bool:
    return isinstance(number, Integral) and int(number) >= 1


def _warn_of_dead_taps(
    pyramid: Pyramid, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]
) -> None:
    """Say once which rate is too wide for the map that comes in; a hook, so `forward` is clean."""
    if torch.compiler.is_compiling() or pyramid._has_warned or pyramid.kernel_size % 2 == 0:
        return
    height, width = (*args, *kwargs.values())[0].shape[-2:]
    dead = [
        (rows, columns)
        for rows, columns in _rates_along_axes(pyramid)
        if rows >= height or columns >= width
    ]
    if dead:
        pyramid._has_warned = True
        message = _describe(max(dead, key=sum), height, width, pyramid.kernel_size)
        warnings.warn(message, DeadTapsWarning, stacklevel=5)


def _rates_along_axes(pyramid: Pyramid) -> list[tuple[int, int]]:
    """Return the rates of all its kernels, each as (rows, columns)."""
    pairs = [rate if pyramid.takes_pairs else (rate, rate) for rate in pyramid.rates]
    units = pyramid.multi_grid
    return [(rows * unit, columns * unit) for (rows, columns), unit in product(pairs, units)]


def _describe(rate: tuple[int, int], height: int, width: int, kernel_size: int) -> str:
    rows, columns = rate
    # Across a line of one cell only the centre tap is inside, so each factor counts one axis.
    down = useful_taps(rows, height, 1, kernel_size)
    useful = down * useful_taps(columns, 1, width, kernel_size)
    taps = kernel_size**2
    return (
        f"rate {rows if rows == columns else rate} on a map of {height}x{width} cells reads "
        f"{useful:.2f} of its {taps} taps, {100 * useful / taps:.0f} %: the others fall on padding "
        "and add nothing; use a larger image, a smaller output stride or smaller rates"
    )
