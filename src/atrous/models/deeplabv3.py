"""DeepLab v3: a dilated backbone, ASPP with image pooling or a cascade, a classifier.

Paper: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, sections 3.2 and 3.3,
figures 3 and 5.
"""

from torch import Tensor, nn

from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.pyramids import PYRAMIDS
from atrous.models.segmentation_model import SegmentationModel
from atrous.nn.conv import ConvNormAct, classifier


class DeepLabV3(SegmentationModel):
    """Classify the pyramid's map, and bring the logits to the image's size.

    Args:
        backbone: Gives the deep map.
        blueprint: The numbers of the network; `create_model` describes them.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__(backbone, blueprint)
        self.pyramid = PYRAMIDS[blueprint.pyramid].build(backbone.channels, blueprint)
        self.head = head_convs(self.pyramid.out_channels, blueprint)
        self.classifier = classifier(self.pyramid.out_channels, blueprint.num_classes)

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the deep map."""
        return self.in_place(self.classifier(self.head(self.pyramid(features.deep))))


def head_convs(channels: int, blueprint: Blueprint) -> nn.Sequential:
    """Return the 3x3 convolutions behind the pyramid: none in the papers, one in some libraries."""
    conventions = blueprint.conventions
    return nn.Sequential(
        *(
            ConvNormAct(
                channels,
                channels,
                kernel_size=3,
                separable=blueprint.separable_decoder,
                between=conventions.between,
            )
            for _ in range(conventions.head_convs)
        )
    )
