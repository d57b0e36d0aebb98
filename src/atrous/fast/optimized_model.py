"""A network rewritten for speed, which looks like any other to those who ask it for logits.

Axes: B batch, C channels, H rows, W columns of the image; h, w of the map that is classified.
Images that are uint8 are taken as they are stored, (B, H, W, C), and normalised here.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from atrous.errors import UsageError
from atrous.models import SegmentationModel
from atrous.models.backbone import Features


class OptimizedModel(SegmentationModel):
    """What `atrous.optimize` returns: logits of any image, in eval mode only.

    It takes preprocessed images (B, C, H, W), as the model does, or stored ones (B, H, W, C) uint8.

    Args:
        network: The rewritten network, in eval mode.
        dtype: Numbers that it computes in.
        largest: (rows, columns) of the largest image that it takes; None: any.
        compiled: Whether torch.compile makes it a program of its own at the first image.

    Attributes:
        network: The same.
        dtype: The same.
        largest: The same.
    """

    _shift: Tensor
    _scale: Tensor

    def __init__(
        self,
        network: SegmentationModel,
        *,
        dtype: torch.dtype = torch.float32,
        largest: tuple[int, int] | None = None,
        compiled: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.network, self.dtype, self.largest = network, dtype, largest
        self.backbone, self.pyramid, self.auxiliary = network.backbone, network.pyramid, None
        self.blueprint = self._as_built = network.blueprint
        self.classes, self.palette = network.classes, network.palette
        self.preprocessing = network.preprocessing
        mean, std = torch.tensor(self.preprocessing.mean), torch.tensor(self.preprocessing.std)
        device = next(network.parameters()).device
        for name, value in (("_shift", -255 * mean), ("_scale", 1 / (255 * std))):
            self.register_buffer(name, value.view(-1, 1, 1).to(device), persistent=False)
        self._run: Callable[[Tensor], Tensor] = network.coarse_logits
        if compiled:
            self._run = _compiled(network.coarse_logits)
        super().train(False)

    @property
    def is_general(self) -> bool:
        """Whether it computes in float32 and takes images of any size, as all engines need it."""
        return self.dtype == torch.float32 and self.largest is None

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) for the backbone's maps, on the finest grid computed."""
        return self.network.classify(features)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for images (B, C, H, W), or (B, H, W, C) uint8."""
        if images.dtype == torch.uint8:
            images = self.normalized(images)
        return super().forward(images)

    def normalized(self, images: Tensor) -> Tensor:
        """Return what the network expects, (B, C, H, W), for stored images (B, H, W, C) uint8.

        Raises:
            UsageError: They have another layout, or not as many channels as the network reads.
        """
        channels = self.blueprint.in_channels
        if images.ndim != 4 or images.shape[3] != channels:
            raise UsageError(
                f"uint8 images are taken as they are stored, (B, H, W, {channels}), got "
                f"{tuple(images.shape)}; for (B, {channels}, H, W) use .permute(0, 2, 3, 1), for "
                "one image [None]"
            )
        # In place, and in the order of the bytes, which is that of channels last.
        return images.permute(0, 3, 1, 2).float().add_(self._shift).mul_(self._scale)

    def coarse_logits_and_auxiliary(self, images: Tensor) -> tuple[Tensor, None]:
        """Return float32 logits (B, K, h, w) for images (B, C, H, W), or (B, H, W, C) uint8.

        There are no auxiliary ones.

        Raises:
            UsageError: The images are larger than the size it was optimized for; or they are uint8
                and not (B, H, W, C).
        """
        if images.dtype == torch.uint8:
            images = self.normalized(images)
        self._check_size(images)
        images = images.to(self.dtype).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            return self._run(images).float(), None

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode.

        Raises:
            UsageError: Training is asked for.
        """
        if mode:
            raise UsageError("an optimized model does not train; train the model it was made from")
        return super().train(False)

    def set_output_stride(self, stride: int) -> None:
        """Refuse: the rewrites hold for one output stride.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"an optimized model keeps output_stride {self.output_stride}; set that of the model "
            "it was made from, and optimize it again"
        )

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Refuse: no network could be built again from the rewritten weights.

        Raises:
            UsageError: Always.
        """
        raise UsageError("an optimized model is not saved; save the model it was made from")

    def _check_size(self, images: Tensor) -> None:
        if self.largest is None:
            return
        height, width = images.shape[-2:]
        rows, columns = self.largest
        if height > rows or width > columns:
            raise UsageError(
                f"the model is optimized for images up to {rows}x{columns} pixels, got "
                f"{height}x{width}; optimize it without size, or for a larger one"
            )


def _compiled(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Let torch compile what a network computes, with its weights as constants."""
    from torch._inductor import config

    program = torch.compile(run)

    def run_program(images: Tensor) -> Tensor:
        # At each call, as each size may be compiled anew. As an option of torch.compile it comes
        # too late: whether weights are constants is asked before options are looked at.
        with config.patch(freezing=True):
            return program(images)

    return run_program
