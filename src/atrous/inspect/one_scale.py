"""A model that reads each image at several sizes, as one that reads it at its own alone."""

import copy

from torch import nn

from atrous.models import SegmentationModel

_ONE = (1.0,)


def one_scale(network: nn.Module) -> nn.Module:
    """Return a network with the same layers that reads no other size; itself where it does so.

    What one cell sees, and how many taps of it fall on padding, differs from size to size: figures
    of the pyramid are those at the size of the image.

    Example:
        >>> from atrous.models import create_model
        >>> words = {"backbone": "vgg16", "num_classes": 2, "scales": (0.5, 1.0)}
        >>> one_scale(create_model("deeplabv2", **words)).blueprint.scales
        (1.0,)
    """
    if not isinstance(network, SegmentationModel) or network.blueprint.scales == _ONE:
        return network
    alone = copy.copy(network)
    alone.blueprint = network.blueprint.model_copy(update={"scales": _ONE})
    return alone
