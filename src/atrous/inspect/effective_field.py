"""How much of the image a branch looks at in fact: the gradient of its middle cell.

Paper: Luo et al. 2017, "Understanding the Effective Receptive Field in Deep Convolutional Neural
Networks", arXiv:1701.04128, section 2: pixels count by the gradient that reaches them, and most of
it stays far inside the theoretical field.
"""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor

from atrous.fast.engines.torch_engine import eval_mode
from atrous.inspect.branches import branches
from atrous.models import SegmentationModel
from atrous.nn import Pyramid

_SHARE = 0.9  # of the gradient that the square of `side_holding` holds
_LARGEST = 513  # px along each axis; what lies further from the middle is cut off


def noise(model: SegmentationModel, size: tuple[int, int]) -> Tensor:
    """Return an image (1, C, H, W) of noise, as after preprocessing; always the same.

    At most 513 pixels along each axis, since a network's field is measured around the middle.
    """
    height, width = (min(side, _LARGEST) for side in size)
    shape = (1, model.blueprint.in_channels, height, width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def middle(images: Tensor) -> Tensor:
    """Return at most 513 pixels along each axis from the middle of `images` (B, C, H, W)."""
    height, width = images.shape[-2:]
    top, left = max(0, height - _LARGEST) // 2, max(0, width - _LARGEST) // 2
    return images[..., top : top + _LARGEST, left : left + _LARGEST]


def effective_fields(model: SegmentationModel, images: Tensor) -> Mapping[str, Tensor]:
    """Return how strongly each pixel acts on the middle cell of each branch.

    The channels of the cell are summed with random signs, always the same, and what arrives at a
    pixel is summed over its channels as absolute values.

    Args:
        model: Left as it is.
        images: A preprocessed image (1, C, H, W).

    Returns:
        (H, W) for each branch, by its name; the sum is 1, or 0 where nothing arrives.
    """
    pyramid = model.pyramid
    if not isinstance(pyramid, Pyramid):
        return {}
    images = images.detach().clone().requires_grad_()
    maps: dict[str, Tensor] = {}
    with ExitStack() as stack:
        stack.enter_context(eval_mode(model))
        for branch in branches(pyramid):

            def note(_layer: object, _inputs: object, x: Tensor, name: str = branch.name) -> None:
                maps[name] = x

            handle = branch.module.register_forward_hook(note)
            stack.callback(handle.remove)
        deep = model.backbone(images).deep
        pyramid(deep)
    return {one.name: _heat(maps[one.name], images) for one in branches(pyramid)}


def side_holding(heat: Tensor, share: float = _SHARE) -> int:
    """Return the side of the square about the middle that holds a share of all heat.

    The middle is the median of the heat along each axis, as padding can shift a map by some pixels.

    Args:
        heat: (H, W), nowhere negative.
        share: From 0 to 1.

    Example:
        >>> heat = torch.zeros(9, 9)
        >>> heat[3:6, 3:6] = 1
        >>> side_holding(heat)
        3
    """
    if not heat.any():
        return 0
    rows, columns = (torch.arange(side, device=heat.device) for side in heat.shape)
    down = (rows - _median(heat.sum(dim=1))).abs()
    across = (columns - _median(heat.sum(dim=0))).abs()
    distance = torch.maximum(down[:, None], across[None, :]).flatten()
    rings = torch.zeros(int(distance.max()) + 1, dtype=torch.float64)
    rings.index_add_(0, distance, heat.flatten().double())
    held = rings.cumsum(0) / rings.sum()
    return 1 + 2 * int((held < share - 1e-9).sum())


def _median(weights: Tensor) -> int:
    held = weights.double().cumsum(0)
    return int((held < held[-1] / 2 - 1e-12).sum())


def _heat(x: Tensor, images: Tensor) -> Tensor:
    cell = x[0, :, x.shape[-2] // 2, x.shape[-1] // 2]
    signs = torch.randint(0, 2, cell.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    (gradient,) = torch.autograd.grad((cell * signs.to(cell)).sum(), images, retain_graph=True)
    heat = gradient[0].abs().sum(dim=0)
    return heat / heat.sum().clamp_min(torch.finfo(heat.dtype).tiny)
