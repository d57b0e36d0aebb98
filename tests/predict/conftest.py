"""A network whose answer is known: the class of a pixel is its strongest colour channel."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from atrous.models import Conventions, Preprocessing, SegmentationModel
from atrous.predict import Segmenter


class StrongestChannel(SegmentationModel):
    """Classes red, green and blue; remembers whether it ran in training mode, and in which type."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.mix = nn.Conv2d(3, 3, kernel_size=1, bias=False)
        nn.init.dirac_(self.mix.weight)
        self.num_classes, self.blueprint = 3, SimpleNamespace(conventions=Conventions())
        self.classes = ("red", "green", "blue")
        self.palette = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
        self.preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)
        self.ran: list[tuple[bool, torch.dtype]] = []

    @property
    def rates(self) -> tuple[int, ...]:
        return ()

    def coarse_logits(self, images: Tensor) -> Tensor:
        logits = self.mix(images)
        self.ran.append((self.training, logits.dtype))
        return logits


@pytest.fixture
def model() -> StrongestChannel:
    return StrongestChannel()


@pytest.fixture
def segmenter(model: StrongestChannel) -> Segmenter:
    return Segmenter(model, device="cpu", engine="torch")


@pytest.fixture
def photo() -> np.ndarray:
    """(4, 6, 3) uint8: top half red, below green, the last column blue."""
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    image[:2, :, 0] = image[2:, :, 1] = 200
    image[:, -1] = (0, 0, 200)
    return image


@pytest.fixture
def labels() -> np.ndarray:
    """The classes of `photo`."""
    labels = np.zeros((4, 6), dtype=np.uint8)
    labels[2:] = 1
    labels[:, -1] = 2
    return labels


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """A folder with `a.png`, `trip/b.png`, and `trip/cut.png`, which is truncated."""
    root = tmp_path / "photos"
    (root / "trip").mkdir(parents=True)
    for name in ("a.png", "trip/b.png", "trip/cut.png"):
        Image.fromarray(photo).save(root / name)
    whole = (root / "trip/cut.png").read_bytes()
    (root / "trip/cut.png").write_bytes(whole[: len(whole) - 25])
    return root
