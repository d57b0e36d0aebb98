"""A network whose answer is known, and a data set in memory."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from torch import Tensor, nn

from atrous.data import Sample
from atrous.models import Conventions, Preprocessing, SegmentationModel


class StrongestChannel(SegmentationModel):
    """The class of a pixel is its strongest colour channel: red, green or blue."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.mix = nn.Conv2d(3, 3, kernel_size=1, bias=False)
        nn.init.dirac_(self.mix.weight)
        self.num_classes, self.blueprint = 3, SimpleNamespace(conventions=Conventions())
        self.classes = ("red", "green", "blue")
        self.palette = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
        self.preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)

    @property
    def rates(self) -> tuple[int, ...]:
        return ()

    def coarse_logits(self, images: Tensor) -> Tensor:
        return self.mix(images)


@dataclass
class MemoryDataset:
    """Rows of pixels, each with the class that the network sees in it and the true one."""

    seen: list[list[int]]
    true: list[list[int]]
    classes: tuple[str, ...] = ("red", "green", "blue")
    name: str = "memory"
    palette: tuple[tuple[int, int, int], ...] = ((0, 0, 0),) * 3

    def __len__(self) -> int:
        return len(self.seen)

    def __getitem__(self, index: int) -> Sample:
        colors = 255 * np.eye(3, dtype=np.uint8)
        image = colors[np.array([self.seen[index]])]
        return Sample(image, np.array([self.true[index]], dtype=np.uint8), f"row-{index}")


@pytest.fixture
def model() -> StrongestChannel:
    return StrongestChannel()


@pytest.fixture
def dataset() -> MemoryDataset:
    """Two images of different sizes, no blue in either, and one pixel to ignore."""
    return MemoryDataset(seen=[[0, 0, 1], [1, 1, 1, 0]], true=[[0, 1, 1], [1, 1, 0, 255]])
