"""What each branch of a pyramid adds to the logits of one photograph, and what is lost without it.

The projection behind the branches is a convolution over their channels side by side, so that its
result is a sum of one map for each branch. What follows, ReLU and a decoder, is linear as long as
no ReLU switches: the derivative of the logits along a branch's map is the branch's own part of
them, and the parts of all branches and the biases together are the logits. To leave a branch out
is to subtract its map before the ReLU.
"""

import warnings
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from atrous.fast.engines.torch_engine import eval_mode
from atrous.inspect.branches import branches, fused_pieces
from atrous.kernels.label_map import label_map
from atrous.models import SegmentationModel
from atrous.models.backbone import Features
from atrous.nn import ASPPv2, ConvNormAct, Decoder, Pyramid


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one branch does to one photograph.

    Attributes:
        name: Of the branch.
        logits: Its part of the logits, (K, h, w), on the grid that is classified.
        changed: Share of the pixels whose label is another one without the branch.
    """

    name: str
    logits: Tensor
    changed: float


def contributions(
    model: SegmentationModel, features: Features, size: tuple[int, int]
) -> tuple[Contribution, ...]:
    """Return what each branch does; none for a pyramid whose branches do not end in a sum.

    A model that reads each image at several sizes is looked at through the image's own.

    Args:
        model: Left as it is.
        features: What its backbone makes of one photograph.
        size: Rows and columns of the photograph.
    """
    pyramid = model.pyramid
    with eval_mode(model), torch.no_grad():
        if isinstance(pyramid, ASPPv2):
            parts = {one.name: one.module(features.deep) for one in branches(pyramid)}
            return _compared(model, parts, sum(parts.values(), torch.zeros(())), size)
        if not isinstance(pyramid, Pyramid) or not fused_pieces(pyramid):
            return ()
        return _through_projection(model, pyramid, features, size)


def projected_pieces(pyramid: Pyramid, deep: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return the map of each branch behind the projection's batch norm, and what they sum up to.

    The sum includes the biases, and the ReLU is still to come.

    Args:
        pyramid: One with a projection, in eval mode.
        deep: The map (1, C, H, W) that it is given.
    """
    project = cast(ConvNormAct, pyramid.get_submodule("project"))
    conv, norm = project.spatial, project.get_submodule("1")
    read: list[Tensor] = []
    handle = project.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        pyramid(deep)
    finally:
        handle.remove()
    whole = norm(conv(read[0]))
    nothing = norm(conv(torch.zeros_like(read[0])))
    pieces = fused_pieces(pyramid)
    maps, before = {}, 0
    for name, channels in pieces.items():
        alone = torch.zeros_like(read[0])
        alone[:, before : before + channels] = read[0][:, before : before + channels]
        maps[name] = norm(conv(alone)) - nothing
        before += channels
    return maps, whole


def _through_projection(
    model: SegmentationModel, pyramid: Pyramid, features: Features, size: tuple[int, int]
) -> tuple[Contribution, ...]:
    maps, whole = projected_pieces(pyramid, features.deep)

    def classify(fused: Tensor) -> Tensor:
        """Return the logits of what the projection sums up: all that comes behind the pyramid."""
        deep = model.get_submodule("head")(F.relu(fused))
        decoder = getattr(model, "decoder", None)
        if isinstance(decoder, Decoder):
            deep = decoder(deep, features.early[4])
        return model.get_submodule("classifier")(deep)

    corners = model.blueprint.conventions.align_corners
    labels = label_map(classify(whole), size=size, align_corners=corners)
    found = []
    for name, part in maps.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, of what it loads for this
            logits = torch.func.jvp(classify, (whole,), (part,))[1]
        without = label_map(classify(whole - part), size=size, align_corners=corners)
        changed = float((labels != without).float().mean())
        found.append(Contribution(name, logits[0], changed))
    return tuple(found)


def _compared(
    model: SegmentationModel, parts: dict[str, Tensor], logits: Tensor, size: tuple[int, int]
) -> tuple[Contribution, ...]:
    corners = model.blueprint.conventions.align_corners
    labels = label_map(logits, size=size, align_corners=corners)
    found = []
    for name, part in parts.items():
        without = label_map(logits - part, size=size, align_corners=corners)
        found.append(Contribution(name, part[0], float((labels != without).float().mean())))
    return tuple(found)
