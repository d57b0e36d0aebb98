"""What libraries disagree on while all call it DeepLab: a weight's shape does not tell.

The defaults are the papers' and atrous's own. Whoever has weights of another library names its
conventions; `atrous.weights.peers` has them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ExtraRate = Annotated[int, Field(ge=2, le=64)]


class Conventions(BaseModel):
    """Settings that weights do not carry, and that change what they compute.

    Attributes:
        align_corners: Whether resized maps keep their corner cells' centres in place.
        dilate_first_block: Whether the layer that loses its stride takes the rate of those behind
            it (segmentation_models_pytorch, torchvision's MobileNetV3), not of those before.
        between: What stands between the halves of a separable convolution.
        projection_kernel: Taps along each axis of the convolution that fuses the branches of ASPP.
        head_convs: 3x3 convolutions between the pyramid and what follows.
        decoder_convs: Convolutions of the decoder behind the concatenation.
        decoder_kernel: Their taps along each axis.
        early_maps: Which block of a stage gives its map to a decoder or auxiliary head.
        aux_stride: Own stride of the map that the auxiliary head reads.
        norm_eps: Epsilon of the backbone's batch norms; None for what timm sets.
        stride_in_1x1: Whether a bottleneck of a ResNet strides in its first convolution, as in
            Caffe, not in its 3x3.
        ceil_stem: Whether the pooling of a ResNet's stem counts a last window that leaves the map.
        tf_padding: Whether the backbone pads as TensorFlow does, by the size of each input.
        tf_padding_side: Side of the square image, in pixels, by which it pads any image; None where
            it goes by the image that comes.
        even_padding: Whether a layer of such a backbone that lost its stride pads both sides alike,
            not where it padded with its stride.
        dense_means: Whether an average pooling that lost its stride, as in a shortcut of ResNet-D,
            still averages (PaddleSeg leaves it out).
        extra_rates: (block, factor) for blocks of the backbone that are dilated further than the
            strides ask for.
        undilated: Modules of the backbone that keep their own rates whatever the strides ask for.
        last_conv: Channels of the 1x1 convolution that ends the backbone; 0 for none where timm has
            one, None for what timm has.

    Example:
        >>> Conventions(align_corners=True).head_convs
        0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    align_corners: bool = False
    dilate_first_block: bool = False
    between: Literal["norm_act", "norm", "nothing"] = "norm_act"
    projection_kernel: Literal[1, 3] = 1
    head_convs: int = Field(default=0, ge=0, le=8)
    decoder_convs: int = Field(default=2, ge=1, le=8)
    decoder_kernel: Literal[1, 3, 5] = 3
    early_maps: Literal["last_block", "first_block"] = "last_block"
    aux_stride: Literal[8, 16] = 16
    norm_eps: float | None = Field(default=None, gt=0, lt=1)
    stride_in_1x1: bool = False
    ceil_stem: bool = False
    tf_padding: bool = False
    tf_padding_side: int | None = Field(default=None, ge=32, le=65535)
    even_padding: bool = False
    dense_means: bool = True
    extra_rates: tuple[tuple[str, ExtraRate], ...] = Field(default=(), max_length=64)
    undilated: tuple[str, ...] = Field(default=(), max_length=64)
    last_conv: int | None = Field(default=None, ge=0, le=65535)
