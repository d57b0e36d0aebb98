"""DeepLab v3: a dilated backbone, ASPP with image pooling, a classifier.

Paper: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.3, figure 5.
"""

from torch import Tensor

from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.segmentation_model import SegmentationModel, classifier
from atrous.nn.aspp import ASPP


class DeepLabV3(SegmentationModel):
    """Classify the pyramid's map, and bring the logits to the image's size.

    Args:
        backbone: Gives the deep map.
        blueprint: The numbers of the network; `create_model` describes them.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__(backbone, blueprint)
        self.pyramid = ASPP(
            backbone.channels,
            rates=blueprint.rates,
            separable=blueprint.separable,
            dropout=blueprint.dropout,
        )
        self.classifier = classifier(self.pyramid.out_channels, blueprint.num_classes)

    @property
    def rates(self) -> tuple[int, ...]:
        """Rates of the pyramid, in cells of the deep map."""
        return self.pyramid.rates

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the deep map."""
        return self.classifier(self.pyramid(features.deep))
