"""From a network to the same one, faster: rewrites, each a function of its own, one by one."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from atrous.devices import has_fast_bf16, has_matrix_unit
from atrous.errors import UsageError
from atrous.fast.aspp_cuda import fuse_aspp
from atrous.fast.folding import can_fold, fold_norm, rest_of
from atrous.fast.image_bias import with_image_bias
from atrous.fast.optimized_model import OptimizedModel
from atrous.fast.sub_maps import OnSubMaps, gains_on_sub_maps
from atrous.fast.taps import TapsAsChannels, keeps_size, without_dead_taps
from atrous.fast.trace import trace
from atrous.models import SegmentationModel

PRECISIONS = ("auto", "fp32", "bf16")
_WIDE = 8  # cells; from this rate on oneDNN's convolution in AMX is slower than `TapsAsChannels`
_SIDE = 65  # pixels of the made-up image that shows what reads what


def optimize(
    model: SegmentationModel,
    *,
    size: tuple[int, int] | None = None,
    precision: str = "fp32",
    compile: bool = False,
) -> OptimizedModel:
    """Return a copy of a model for inference: the same logits, sooner.

    In float32 they differ by at most 1e-4 of the largest logit. The copy keeps classes, palette and
    preprocessing, takes images of any size, and stays in eval mode; the model stays as it is.

    Args:
        model: A network; its weights, rates and output stride are taken as they are now.
        size: (rows, columns) of the largest image to come, in pixels: kernels whose rate reaches
            beyond its map lose the taps that can only fall on padding. Larger images are refused.
        precision: `fp32`; `bf16`, whose labels differ in some pixels between two classes; or
            `auto`, which is `bf16` where the device computes it faster.
        compile: Let torch.compile join the layers, with the weights as constants. The first image
            of a new size takes minutes then, and a C++ compiler is needed.

    Raises:
        UsageError: The precision is unknown, or the size is not two whole numbers from 1 up.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2).eval()
        >>> images = torch.randn(1, 3, 65, 97)
        >>> torch.allclose(optimize(model)(images), model(images), atol=1e-4)
        True
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is unknown; use {', '.join(PRECISIONS)}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise UsageError(f"size needs (rows, columns) from 1 up, got {size}")
    if isinstance(model, OptimizedModel):
        raise UsageError("the model is optimized already; give the one it was made from")
    device = next(model.parameters()).device
    network = copy.deepcopy(model).eval().requires_grad_(False)
    network.auxiliary = None
    _fold_norms(network)
    if size is not None:
        _leave_out_dead_taps(network, size)
    is_bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    network.pyramid = with_image_bias(network.pyramid)  # pyright: ignore[reportAttributeAccessIssue]
    if is_bf16:
        _to_bf16(network, device)
    if device.type == "cpu":
        _replace(network, gains_on_sub_maps, OnSubMaps)
    fuse_aspp(network)
    network.to(memory_format=torch.channels_last)
    dtype = torch.bfloat16 if is_bf16 else torch.float32
    return OptimizedModel(network, dtype=dtype, largest=size, compiled=compile)


class InFloat32(nn.Module):
    """A layer that computes in float32 whatever comes in: classes lie closer than bfloat16 tells.

    Example:
        >>> InFloat32(nn.Conv2d(8, 2, 1))(torch.zeros(1, 8, 5, 7, dtype=torch.bfloat16)).dtype
        torch.float32
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        """Return float32."""
        return self.layer(x.float())


def _fold_norms(network: SegmentationModel) -> None:
    """Fold each batch norm that alone reads a convolution into it."""
    modules = dict(network.named_modules())
    shape = (1, network.blueprint.in_channels, _SIDE, _SIDE)
    for norm_name, conv_name in trace(network, shape).pairs.items():
        conv, norm = modules[conv_name], modules[norm_name]
        if can_fold(conv, norm):
            network.set_submodule(conv_name, fold_norm(conv, norm))  # pyright: ignore[reportArgumentType]
            network.set_submodule(norm_name, rest_of(norm))


def _leave_out_dead_taps(network: SegmentationModel, size: tuple[int, int]) -> None:
    shape = (1, network.blueprint.in_channels, *size)
    for name, map_size in trace(network, shape).sizes.items():
        conv = network.get_submodule(name)
        if isinstance(conv, nn.Conv2d):
            network.set_submodule(name, without_dead_taps(conv, map_size))


def _to_bf16(network: SegmentationModel, device: torch.device) -> None:
    """Let everything but norms and classifiers compute in bfloat16."""
    if device.type == "cpu" and has_matrix_unit():
        _replace(network, _is_wide, TapsAsChannels)
    network.bfloat16()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()  # it takes bfloat16 maps all the same
    for name, module in list(network.named_modules()):
        if name.endswith("classifier") and isinstance(module, nn.Conv2d):
            network.set_submodule(name, InFloat32(module))


def _is_wide(module: nn.Module) -> bool:
    """Return whether `TapsAsChannels` computes a module sooner."""
    if not isinstance(module, nn.Conv2d) or module.groups > 1 or not keeps_size(module):
        return False
    return max(module.kernel_size) > 1 and max(module.dilation) >= _WIDE


def _replace(
    network: nn.Module, applies: Callable[[nn.Module], bool], rewrite: Callable[..., nn.Module]
) -> None:
    for name, module in list(network.named_modules()):
        if applies(module):
            network.set_submodule(name, rewrite(module))
