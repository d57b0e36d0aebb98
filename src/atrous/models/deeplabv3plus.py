"""DeepLab v3+: v3 as the encoder, and a decoder that sharpens borders with a map of stride 4.

Paper: Chen et al. 2018, "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611,
section 3, figure 2.
"""

from torch import Tensor

from atrous.errors import UsageError
from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.segmentation_model import SegmentationModel, classifier
from atrous.nn.aspp import ASPP
from atrous.nn.decoder import Decoder


class DeepLabV3Plus(SegmentationModel):
    """Classify the decoder's map of stride 4, and bring the logits to the image's size.

    Args:
        backbone: Gives the deep map and one of stride 4.
        blueprint: The numbers of the network; `create_model` describes them.

    Raises:
        UsageError: The backbone has no map of stride 4.
    """

    def __init__(self, backbone: Backbone, blueprint: Blueprint) -> None:
        super().__init__(backbone, blueprint)
        if backbone.low_level_channels is None:
            raise UsageError(
                f"backbone {backbone.name!r} has no map of stride 4 for the decoder; "
                "use deeplabv3, or another backbone"
            )
        self.pyramid = ASPP(
            backbone.channels,
            rates=blueprint.rates,
            separable=blueprint.separable,
            dropout=blueprint.dropout,
        )
        self.decoder = Decoder(
            self.pyramid.out_channels,
            backbone.low_level_channels,
            separable=blueprint.separable_decoder,
        )
        self.classifier = classifier(self.decoder.out_channels, blueprint.num_classes)

    @property
    def rates(self) -> tuple[int, ...]:
        """Rates of the pyramid, in cells of the deep map."""
        return self.pyramid.rates

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the map of stride 4."""
        return self.classifier(self.decoder(self.pyramid(features.deep), features.fine))
