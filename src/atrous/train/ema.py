"""A running average of the weights, which is judged and kept in their place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """The exponential moving average of all that a network holds, statistics of norms included.

    After step t it keeps min(decay, (1 + t) / (10 + t)) of itself, so that the first random weights
    are soon forgotten. Szegedy et al. 2015, arXiv:1512.00567, section 8, evaluate such an average.

    Args:
        model: The network; its weights are where the average begins.
        decay: Share of the average that a step leaves, once there were many.

    Attributes:
        state: The average, as a state dict.

    Example:
        >>> average = AveragedWeights(nn.Linear(1, 1, bias=False), decay=0.5)
        >>> list(average.state)
        ['weight']
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {key: tensor.clone() for key, tensor in model.state_dict().items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        for key, tensor in self.state.items():
            tensor.copy_(state[key])

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps."""
        kept = min(self.decay, (1 + step) / (10 + step))
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.state[key].lerp_(tensor, 1 - kept)
            else:
                self.state[key].copy_(tensor)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Let `model` have the average inside, and its own weights again after."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    @torch.no_grad()
    def _exchange(self, model: nn.Module) -> None:
        for key, tensor in model.state_dict().items():
            own = tensor.clone()
            tensor.copy_(self.state[key])
            self.state[key].copy_(own)
