"""Atrous Spatial Pyramid Pooling (ASPP): read one feature map at several scales at once.

Papers: Chen et al. 2017, "Rethinking Atrous Convolution", arXiv:1706.05587, section 3.3, figure 5;
Huang et al. 2019, "See More Than Once", arXiv:1908.09443 (one kernel for all rates).
Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn.conv import BatchNorm2d, Between, ConvNormAct, GlobalMean, same_conv, set_rates
from atrous.nn.pyramid import Pyramid
from atrous.nn.taught_names import accept_taught_names


class ASPP(Pyramid):
    """Gather context at several rates and from the whole map, then fuse it into one map.

    A 1x1 convolution, one 3x3 convolution for each rate, and the mean over the map followed by a
    1x1 convolution stand side by side; another 1x1 convolution fuses them. Each has batch norm and
    ReLU.

    A state dict with the names of `atrous.nn.taught_names` loads as well.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of each branch and of the result.
        rates: Distance between the taps of each 3x3 branch, in cells (not image pixels). A rate no
            smaller than both sides of the map leaves its branch the centre tap only. None at all
            leaves the 1x1 convolution and the mean.
        num_classes: When given, a 1x1 classifier ends the module and D is this number.
        bias: Whether the convolutions add a bias although batch norm follows.
        separable: Make the 3x3 branches depthwise separable, as v3+ does for speed.
        between: What stands between the two halves then, see `ConvNormAct`.
        projection_kernel: Taps along each axis of the convolution that fuses the branches.
        shared_kernel: Let all rates use the same 3x3 weights; each keeps its batch norm.
        image_pooling: Whether the mean over the map is a branch (section 3.3; table 5 has both).
        dropout: Probability in [0, 1) that a fused value is dropped in training.

    Raises:
        ValueError: A rate is below 1, or the kernel shall be both shared and separable.

    Example:
        >>> ASPP(512, 256, rates=(6, 12, 18))(torch.zeros(1, 512, 19, 20)).shape
        torch.Size([1, 256, 19, 20])
    """

    needs_rates = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int],
        num_classes: int | None = None,
        bias: bool = False,
        separable: bool = False,
        between: Between = "norm_act",
        projection_kernel: int = 1,
        shared_kernel: bool = False,
        image_pooling: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(rates)
        if shared_kernel and separable:
            raise ValueError("shared_kernel has one dense kernel; leave out separable")
        self.out_channels = out_channels if num_classes is None else num_classes
        self.point = ConvNormAct(in_channels, out_channels, bias=bias)
        self.atrous = (
            SharedAtrous(in_channels, out_channels, rates=self.rates, bias=bias)
            if shared_kernel
            else Atrous(
                ConvNormAct(
                    in_channels,
                    out_channels,
                    kernel_size=3,
                    rate=rate,
                    bias=bias,
                    separable=separable,
                    between=between,
                )
                for rate in self.rates
            )
        )
        self.mean = GlobalMean()
        self.image = ConvNormAct(in_channels, out_channels, bias=bias) if image_pooling else None
        self.project = ConvNormAct(
            (1 + len(self.rates) + image_pooling) * out_channels,
            out_channels,
            kernel_size=projection_kernel,
            bias=bias,
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = (
            nn.Identity() if num_classes is None else nn.Conv2d(out_channels, num_classes, 1)
        )
        self.register_load_state_dict_pre_hook(accept_taught_names)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fused map (B, D, H, W) of x (B, C, H, W)."""
        branches = [self.point(x), *self.atrous(x)]
        if self.image is not None:
            # Resizing a 1x1 map bilinearly gives a constant, so broadcasting gives the same values.
            branches.append(self.image(self.mean(x)).expand(-1, -1, *x.shape[-2:]))
        return self.classifier(self.dropout(self.project(torch.cat(branches, dim=1))))

    def _apply_rates(self, rates: tuple[int, ...]) -> None:
        self.atrous.set_rates(rates)


class Atrous(nn.ModuleList):
    """Convolutions side by side, each with its own weights and rate.

    Example:
        >>> maps = Atrous(ConvNormAct(8, 4, kernel_size=3) for _ in range(2))
        >>> maps.set_rates((1, 2))
        >>> [tuple(map.shape) for map in maps(torch.zeros(1, 8, 5, 7))]
        [(1, 4, 5, 7), (1, 4, 5, 7)]
    """

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map (B, D, H, W) for each rate."""
        return [branch(x) for branch in self]

    def set_rates(self, rates: Sequence[int]) -> None:
        """Give each convolution its rate, in cells."""
        set_rates(self, rates)


class SharedAtrous(nn.Module):
    """One 3x3 kernel at several rates, with batch norm and ReLU for each (arXiv:1908.09443).

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of each result.
        rates: Distances between the kernel's taps, in cells.
        bias: Whether the convolution adds a bias although batch norm follows.

    Example:
        >>> maps = SharedAtrous(8, 4, rates=(1, 2))(torch.zeros(1, 8, 5, 7))
        >>> [tuple(map.shape) for map in maps]
        [(1, 4, 5, 7), (1, 4, 5, 7)]
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, rates: Sequence[int], bias: bool = False
    ) -> None:
        super().__init__()
        self.conv = same_conv(in_channels, out_channels, 3, bias=bias)
        self.norms = nn.ModuleList(
            nn.Sequential(BatchNorm2d(out_channels), nn.ReLU(inplace=True)) for _ in rates
        )
        self.set_rates(rates)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map (B, D, H, W) for each rate."""
        weight, bias = self.conv.weight, self.conv.bias
        return [
            norm(F.conv2d(x, weight, bias, padding=rate, dilation=rate))
            for rate, norm in zip(self.rates, self.norms, strict=True)
        ]

    def set_rates(self, rates: Sequence[int]) -> None:
        """Read at other rates, in cells."""
        self.rates = tuple(rates)
