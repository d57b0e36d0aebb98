"""The gradients of several processes, summed while the backward pass goes on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from atrous.train.processes import World

_GROUP_BYTES = 25 * 2**20


class SharedGradients:
    """Lets all processes have the sum of their gradients.

    The parameters stand in groups, the last ones first, since the backward pass comes to them
    first; the sum over a group begins when its gradients are there. The groups are the same at
    every step, so that a resumed run adds in the same order as one that was not stopped.

    Args:
        parameters: Those of the network; all processes have the same.
        world: The processes.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> with SharedGradients(layer.parameters(), World()).summed():
        ...     layer(torch.ones(1, 1)).sum().backward()
        >>> layer.bias.grad
        tensor([1.])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], world: World) -> None:
        self._groups = list(_grouped(list(parameters))) if world.size > 1 else []
        self._ready: set[Tensor] | None = None  # while the sums are wanted
        self._sums: list[_Sum] = []
        for parameter in chain.from_iterable(self._groups):
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._note)

    @contextmanager
    def summed(self) -> Iterator[None]:
        """Sum the gradients that are there at the end; a backward pass is to be inside."""
        self._ready = set()
        yield
        while len(self._sums) < len(self._groups):
            self._begin_sum()
        for a_sum in self._sums:
            a_sum.finish()
        self._ready, self._sums = None, []

    def _note(self, parameter: Tensor) -> None:
        """Begin the sums whose gradients are complete, in the order of the groups."""
        if self._ready is None:
            return
        self._ready.add(parameter)
        for group in self._groups[len(self._sums) :]:
            if not all(p in self._ready or not p.requires_grad for p in group):
                return
            self._begin_sum()

    def _begin_sum(self) -> None:
        group = self._groups[len(self._sums)]
        self._sums.append(_Sum.begin([p.grad for p in group if p.grad is not None]))


class _Sum(NamedTuple):
    """Gradients whose sum is under way."""

    gradients: list[Tensor]
    flat: Tensor
    work: Any

    @classmethod
    def begin(cls, gradients: list[Tensor]) -> "_Sum":
        if not gradients:
            return cls([], torch.empty(0), None)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        return cls(gradients, flat, distributed.all_reduce(flat, async_op=True))

    def finish(self) -> None:
        if self.work is None:  # the whole group is frozen
            return
        self.work.wait()
        parts = self.flat.split([gradient.numel() for gradient in self.gradients])
        for gradient, part in zip(self.gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _grouped(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield the parameters from the last to the first, in groups of some megabytes."""
    group: list[nn.Parameter] = []
    for parameter in reversed(parameters):
        group.append(parameter)
        if sum(p.nbytes for p in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group
