"""From stored pixels to what a backbone was trained on."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """Mean and standard deviation of each channel, for values scaled to 0..1.

    Raises:
        ValueError: Not one finite mean, and one finite deviation above 0, for each channel.

    Example:
        >>> Preprocessing((0.5,) * 3, (0.5,) * 3)(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))
        tensor([[[[1.]],
        <BLANKLINE>
                 [[1.]],
        <BLANKLINE>
                 [[1.]]]])
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of ImageNet, as most backbones expect
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        means_fit = all(map(math.isfinite, self.mean))
        if not means_fit or not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} must be finite, std above 0")
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels, std {len(self.std)}")

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 (B, C, H, W) for uint8 images (B, C, H, W) of values 0 to 255."""
        mean = torch.tensor(self.mean, device=images.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(-1, 1, 1)
        return (images.float() / 255 - mean) / std
