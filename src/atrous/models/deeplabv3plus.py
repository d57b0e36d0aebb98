"""DeepLab v3+: v3 as the encoder, and a decoder that sharpens borders with a map of stride 4.

Paper: Chen et al. 2018, "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611,
section 3, figure 2.
"""

from torch import Tensor

from atrous.errors import UsageError
from atrous.models.backbone import Backbone, Features
from atrous.models.blueprint import Blueprint
from atrous.models.deeplabv3 import head_convs
from atrous.models.pyramids import PYRAMIDS
from atrous.models.segmentation_model import SegmentationModel
from atrous.nn.conv import classifier
from atrous.nn.decoder import Decoder

_FINE = 4  # stride of the decoder's early map: figure 2


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
        if _FINE not in backbone.early_channels:
            raise UsageError(
                f"backbone {backbone.name!r} has no map of stride {_FINE} for the decoder; "
                "use deeplabv3, or another backbone"
            )
        self.pyramid = PYRAMIDS[blueprint.pyramid].build(backbone.channels, blueprint)
        self.head = head_convs(self.pyramid.out_channels, blueprint)
        self.decoder = Decoder(
            self.pyramid.out_channels,
            backbone.early_channels[_FINE],
            out_channels=blueprint.channels or 256,
            num_convs=blueprint.conventions.decoder_convs,
            kernel_size=blueprint.conventions.decoder_kernel,
            separable=blueprint.separable_decoder,
            between=blueprint.conventions.between,
            align_corners=blueprint.conventions.align_corners,
        )
        self.classifier = classifier(self.decoder.out_channels, blueprint.num_classes)

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, K, h, w) on the grid of the map of stride 4."""
        deep = self.in_place(self.head(self.pyramid(features.deep)))
        return self.classifier(self.decoder(deep, features.early[_FINE]))
