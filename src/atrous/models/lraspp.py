"""Lite R-ASPP on a dilated backbone: the light network that comes with MobileNetV3.

Paper: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, section 6.4, figure 10.
"""

from torch import Tensor

from atrous.errors import UsageError
from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.segmentation_model import SegmentationModel
from atrous.nn import lr_aspp

_LOW = 8  # stride of the early map: figure 10


class LRASPP(SegmentationModel):
    """Classify a map of stride 8 and the gated deep one, and bring the logits to the image's size.

    Args:
        backbone: Gives the deep map and one of stride 8.
        blueprint: The numbers of the network; `create_model` describes them.

    Raises:
        UsageError: The backbone has no map of stride 8.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__(backbone, blueprint)
        if _LOW not in backbone.early_channels:
            raise UsageError(
                f"backbone {backbone.name!r} has no map of stride {_LOW} for lraspp; "
                "use another backbone, or deeplabv3"
            )
        self.pyramid = lr_aspp.LRASPP(
            backbone.early_channels[_LOW],
            backbone.channels,
            blueprint.num_classes,
            channels=blueprint.channels or 128,
        )

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the map of stride 8."""
        return self.pyramid(features.early[_LOW], self.in_place(features.deep))
