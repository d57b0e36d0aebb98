"""A network as a program: from stored pixels to logits or labels, for images of every size.

Engines that know nothing of Python take it from here: `torch.export` has followed each step once,
with the number of images, their rows and their columns as unknowns. Two things differ from how the
network is written, and change no value:

- The division by the deviation is a part of the first convolution's weights. The subtraction of the
  mean is not: what the convolution pads with are zeros after it, which are no zeros before it.
- Images too small for the backbone are stretched, and maps cut, by reading rows and columns by
  their numbers. A condition or a slice would hold for the sizes seen while following only.

Axes: B images, H rows, W columns, C channels; K classes; h, w of the map that is classified.
"""

import copy
import warnings
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental import _config as symbolic_shapes
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from atrous.errors import UsageError
from atrous.fast.optimized_model import OptimizedModel
from atrous.fast.rewriting import optimize
from atrous.models import SegmentationModel
from atrous.models.backbone import Features

OUTPUTS = ("logits", "coarse_logits", "labels")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
LARGEST = 65535  # pixels along a side, and images at once
_AXES = ("batch", "height", "width")
_EXAMPLE = (2, 97, 129)  # images, rows, columns: no two alike, so that none is taken for another


def program(
    model: SegmentationModel, *, outputs: str = "logits", precision: str = "fp32"
) -> ExportedProgram:
    """Return what torch.export makes of a network with its batch norms folded.

    Its one argument, `images`, is (B, H, W, C) uint8, RGB for three channels.

    Args:
        model: A network; its weights, rates and output stride are taken as they are now.
        outputs: `logits` (B, K, H, W) float32; `coarse_logits` (B, K, h, w) float32, from which
            `atrous.label_map` makes labels; or `labels` (B, H, W), the class of each pixel, in the
            smallest of uint8, uint16 and int32 that has room for all and one more.
        precision: What the network computes in: `fp32`, `fp16` or `bf16`. Logits are brought to
            their full size in float32 always.

    Raises:
        UsageError: One of the words is unknown, or the network has no program for every size.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> run = program(model, outputs="labels").module()
        >>> run(torch.zeros(1, 30, 50, 3, dtype=torch.uint8)).shape
        torch.Size([1, 30, 50])
    """
    if outputs not in OUTPUTS:
        raise UsageError(f"outputs {outputs!r} is unknown; use {', '.join(OUTPUTS)}")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r} is unknown; use {', '.join(DTYPES)}")
    if model.blueprint.scales != (1.0,):
        raise UsageError(
            f"a network that reads images at scales {model.blueprint.scales} has no program for "
            "every size; create it with scales=(1.0,)"
        )
    if isinstance(model, OptimizedModel) and not model.is_general:
        raise UsageError(
            "the model is optimized for another precision, or for a size; give the one it was made "
            "from"
        )
    network = _Steps(model, outputs, DTYPES[precision])
    images = torch.zeros(*_EXAMPLE, model.blueprint.in_channels, dtype=torch.uint8)
    least = 1, *2 * (least_side(model),)
    sides = {
        number: Dim(name, min=side, max=LARGEST)
        for number, (name, side) in enumerate(zip(_AXES, least, strict=True))
    }
    with (
        # Otherwise sides that leave a map one cell are taken for a case of their own.
        symbolic_shapes.patch(backed_size_oblivious=True),  # pyright: ignore[reportAttributeAccessIssue]
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # torch's own, on its ways and on the made-up size
        return export(
            network,
            (images,),
            dynamic_shapes=(sides,),
            # Such as that pooling's last window begins on the map: true, and too hard to prove.
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def least_side(model: SegmentationModel) -> int:
    """Return the rows and columns, in pixels, that images have at least in a program of a network.

    With aligned corners a map of one cell is a case of its own: the decoder's has two here.
    """
    return 5 if model.blueprint.conventions.align_corners else 1


class _Steps(nn.Module):
    """The steps of `program`, which is where they are described."""

    mean: Tensor
    scale: Tensor | None

    def __init__(self, model: SegmentationModel, outputs: str, dtype: torch.dtype) -> None:
        super().__init__()
        fast = copy.deepcopy(model) if isinstance(model, OptimizedModel) else optimize(model)
        network = fast.network.cpu()
        self.sides = network.backbone._sides
        self.align_corners = model.blueprint.conventions.align_corners
        self.outputs, self.dtype = outputs, dtype
        self.label_dtype = _label_dtype(model.blueprint.num_classes)
        normalize = model.preprocessing
        self.register_buffer("mean", 255 * torch.tensor(normalize.mean).view(-1, 1, 1))
        scale = 1 / (255 * torch.tensor(normalize.std))
        is_folded = _fold_scale(network, scale)
        self.register_buffer("scale", None if is_folded else scale.view(-1, 1, 1))
        self.network = network.to(dtype).to(memory_format=torch.contiguous_format)
        for module in network.modules():
            if hasattr(module, "inplace"):
                # Torch takes four times as long to follow what overwrites.
                setattr(module, "inplace", False)  # noqa: B010, no type of module has it

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        features = self.network.backbone(self._normalized(self._stretched(images)))
        logits = self.network.classify(self._cut(features, height, width)).float()
        if self.outputs == "coarse_logits":
            return logits
        size = (height, width)
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)
        return logits if self.outputs == "logits" else logits.argmax(1).to(self.label_dtype)

    def _stretched(self, images: Tensor) -> Tensor:
        """Repeat the last row and column as often as the backbone needs."""
        for axis in (1, 2):
            side = images.shape[axis]
            steps = torch.sym_max(side, self.sides.least) + self.sides.step - 1
            rows = torch.arange(steps // self.sides.step * self.sides.step)
            images = images.index_select(axis, rows.clamp(max=side - 1))
        return images

    def _normalized(self, images: Tensor) -> Tensor:
        images = images.permute(0, 3, 1, 2).float() - self.mean
        return (images if self.scale is None else images * self.scale).to(self.dtype)

    def _cut(self, features: Features, height: int, width: int) -> Features:
        """Keep the cells that the images touch."""
        backbone = self.network.backbone
        early = {
            stride: _first(x, min(stride, backbone.output_stride), height, width)
            for stride, x in features.early.items()
        }
        return Features(early, _first(features.deep, backbone.output_stride, height, width))


def _first(x: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Return the cells of `x` up to those of an image's last row and column."""
    for axis, side in ((2, height), (3, width)):
        # What Python rounds down, ONNX rounds towards 0: no number here is below it.
        x = x.index_select(axis, torch.arange((side + stride - 1) // stride))
    return x


def _label_dtype(num_classes: int) -> torch.dtype:
    """Return the smallest type for the classes, and for one more, as what is ignored."""
    if num_classes <= 255:
        return torch.uint8
    return torch.uint16 if num_classes <= 65535 else torch.int32


def _fold_scale(network: SegmentationModel, scale: Tensor) -> bool:
    """Let the convolution that alone reads the images scale them, and return whether one does."""
    watch = _Readers(network)
    with watch, torch.inference_mode():
        network.backbone.network(watch.images)
    if watch.operations != 1 or len(watch.convs) != 1:
        return False
    conv = watch.convs[0]
    weight = conv.weight.double() * scale.view(1, -1, 1, 1)
    conv.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    return True


class _Readers(TorchDispatchMode):
    """Notes the convolutions that read a made-up image, and counts all that does."""

    def __init__(self, network: SegmentationModel) -> None:
        super().__init__()
        self.images = torch.zeros(1, network.blueprint.in_channels, 96, 96)
        self.operations = 0
        self.convs: list[nn.Conv2d] = []
        self._hooks = [
            module.register_forward_pre_hook(self._note)
            for module in network.modules()
            if type(module) in (nn.Conv2d, Conv2dSame) and module.groups == 1
        ]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()

    def _note(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0] is self.images and isinstance(module, nn.Conv2d):
            self.convs.append(module)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += any(arg is self.images for arg in args)
        return func(*args, **(kwargs or {}))
