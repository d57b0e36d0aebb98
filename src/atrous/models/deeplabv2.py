"""DeepLab v1 and v2: logits straight from wide kernels on a map of stride 8.

Papers: Chen et al. 2014, arXiv:1412.7062, section 3 (v1: one kernel, LargeFOV); Chen et al. 2016,
"DeepLab", arXiv:1606.00915, sections 3.2 and 4 (v2: ASPP, kernels at several rates, summed). The
multi-scale input of v2 is the keyword `scales=(0.5, 0.75, 1.0)`.
"""

from torch import Tensor

from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.pyramids import PYRAMIDS
from atrous.models.segmentation_model import SegmentationModel


class DeepLabV2(SegmentationModel):
    """Bring the logits of LargeFOV (v1) or ASPP (v2) to the image's size.

    Args:
        backbone: Gives the deep map; the papers' are `vgg16` and `resnet101`.
        blueprint: The numbers of the network; `create_model` describes them.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__(backbone, blueprint)
        self.pyramid = PYRAMIDS[blueprint.pyramid].build(backbone.channels, blueprint)

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the deep map."""
        return self.in_place(self.pyramid(features.deep))
