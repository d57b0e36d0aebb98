"""How far a way's labels and logits are from those of the plain network in float32.

Axes: B pictures, H rows, W columns; K classes; h, w of the map that is classified.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from atrous.bench.ways import Opened
from atrous.fast.engines.torch_engine import eval_mode
from atrous.models import SegmentationModel


@dataclass(frozen=True)
class Agreement:
    """How far two ways of computing a network are apart.

    Attributes:
        equal_labels: Share of the pixels that both give the same class.
        logit_difference: The largest between two logits; None where only labels come out.
    """

    equal_labels: float
    logit_difference: float | None


class Reference:
    """What a network computes in float32 as it is written, eagerly.

    Its label maps are those of its logits at the pictures' size, brought there as the network
    itself does it.

    Args:
        model: The network.
        batches: The pictures, each (B, H, W, 3) uint8.
    """

    def __init__(self, model: SegmentationModel, batches: Sequence[np.ndarray]) -> None:
        self.batches = batches
        with eval_mode(model), torch.inference_mode():
            images = [model.preprocessing(_channels_first(one)) for one in batches]
            self.labels = [model(one).argmax(dim=1) for one in images]
            self.logits = [model.coarse_logits(images[0]), model(images[0])]
        self.largest_logit = float(self.logits[1].abs().max())

    def compare(self, opened: Opened) -> Agreement:
        """Let a way compute all pictures, which also warms it up."""
        equal = [
            float((opened.labels(pictures) == expected).float().mean())
            for pictures, expected in zip(self.batches, self.labels, strict=True)
        ]
        return Agreement(sum(equal) / len(equal), self._difference(opened))

    def _difference(self, opened: Opened) -> float | None:
        if opened.logits is None:
            return None
        found = opened.logits(self.batches[0])
        expected = next(logits for logits in self.logits if logits.shape == found.shape)
        return float((found.float() - expected).abs().max())


def _channels_first(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)
